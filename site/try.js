/** The page "try it": a sound, coded and decoded here, to be compared with what it was. */

import { loadInWorker } from "./audiodec/index.js";
import { RATE, download, mono, words } from "./audio.js";
import { Coded } from "./coded.js";
import { opus } from "./opus.js";
import { Player } from "./player.js";
import { Recorder } from "./recorder.js";
import { Version } from "./version.js";

const MODEL = "models/speech-48k/";
const SAMPLE = "speech.flac";
const MAX_S = 60; // of a sound that are taken

const at = (id) => document.getElementById(id);
const player = new Player(RATE);
const versions = new Map();
let codec; // a promise, once it is needed
let coded = null; // the sound that is compared
let recorder = null;
let turn = 0; // of the newest work: older work stops when it sees another

for (const [name, title] of [
  ["original", "Original"],
  ["audiodec", "AudioDec"],
  ["opus", "Opus"],
]) {
  const version = new Version(name, title, (part) => player.seek(part * player.seconds));
  version.choice.addEventListener("change", () => player.choose(name));
  versions.set(name, version);
  at("versions").append(version.element);
}
versions.get("audiodec").choice.checked = true;
player.choose("audiodec");

/** Say what is being done; a number shows how far it is. */
function say(text, part) {
  at("status").textContent = text;
  at("work").hidden = part === undefined;
  if (part === null) at("progress").removeAttribute("value");
  else if (part !== undefined) at("progress").value = part;
}

/** Do one thing at a time; what goes wrong is told in words. */
async function work(task) {
  const own = ++turn;
  const current = () => own === turn;
  at("problem").textContent = "";
  try {
    await task(current);
  } catch (error) {
    if (!current()) return;
    say("");
    at("problem").textContent = words(error);
  }
}

function model() {
  codec ??= loadInWorker(MODEL, {
    progress: ({ loaded, total }) =>
      say(`Loading the model: ${(loaded / 1e6).toFixed(1)} MB`, total ? loaded / total : null),
  }).catch((error) => {
    codec = undefined; // so that the next try loads again
    throw error;
  });
  return codec;
}

async function open(name, bytes) {
  await work(async (current) => {
    player.stop();
    const loaded = await model();
    if (!current()) return;
    let samples;
    if (name.toLowerCase().endsWith(".adc")) {
      say("Decoding the file", null);
      const file = await loaded.decodeFile(new Uint8Array(bytes));
      if (file.damage) at("problem").textContent = `${name}: ${file.damage}`;
      samples = file.channels[0];
    } else {
      say("Reading the sound", null);
      samples = await mono(bytes, name);
    }
    if (current()) await take(name, samples, loaded, current);
  });
}

/** Code a sound once, with all codebooks; a bitrate then is how many of them are decoded. */
async function take(name, samples, loaded, current) {
  const cut = samples.length > MAX_S * RATE;
  samples = samples.slice(0, MAX_S * RATE);
  at("result").hidden = true;
  const fresh = await Coded.of(loaded, samples, current, (part) => say("Coding", part));
  if (!fresh) return;
  coded = Object.assign(fresh, { name, cut });
  player.set("original", samples);
  const rates = loaded.bitrates;
  at("bitrate").max = rates.length - 1;
  at("result").hidden = false;
  versions.get("original").show(samples, `${(RATE * 16) / 1000} kbps as 16-bit sound`);
  await decode(current);
}

async function decode(current) {
  const count = Number(at("bitrate").value) + 1;
  const { audio, kbps, seconds } = await coded.at(count, (part) => say("Decoding", part), current);
  if (!audio) return;
  player.set("audiodec", audio);
  const times = `coded in ${coded.seconds.toFixed(1)} s, decoded in ${seconds.toFixed(1)} s`;
  versions.get("audiodec").show(audio, `${kbps.toFixed(1)} kbps measured; ${times}`);
  const theirs = await opus(coded.samples, coded.bitrate(count) * 1000);
  if (!current()) return;
  player.set("opus", theirs.audio ?? null);
  versions.get("opus").show(theirs.audio ?? null, theirs.facts);
  say(coded.cut ? `Only the first ${MAX_S} seconds of ${coded.name} are taken.` : "");
}

function showRate() {
  if (!coded) return;
  const kbps = coded.bitrate(Number(at("bitrate").value) + 1);
  at("rate").textContent = `${kbps} kbps`;
  at("bitrate").setAttribute("aria-valuetext", `${kbps} kilobits per second`);
}

at("bitrate").addEventListener("input", () => {
  showRate();
  work(decode);
});

at("sample").addEventListener("click", () =>
  work(async (current) => {
    const response = await fetch(SAMPLE);
    if (!response.ok) throw new Error(`${SAMPLE} cannot be read: ${response.status}`);
    const bytes = await response.arrayBuffer();
    if (current()) await open(SAMPLE, bytes);
  }),
);

at("choose").addEventListener("click", () => at("file").click());
at("file").addEventListener("change", async ({ target }) => {
  const [file] = target.files;
  target.value = ""; // the same file may be chosen again
  if (file) await open(file.name, await file.arrayBuffer());
});

const drop = at("drop");
for (const kind of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", kind === "dragover");
  });
}
drop.addEventListener("drop", async ({ dataTransfer }) => {
  const [file] = dataTransfer.files;
  if (file) await open(file.name, await file.arrayBuffer());
});

at("record").addEventListener("click", async () => {
  if (recorder) return finish();
  await work(async () => {
    player.stop();
    recorder = await Recorder.start(RATE, MAX_S, (level, seconds) => {
      at("level").value = level;
      say(`Recording: ${seconds.toFixed(0)} s`);
      if (seconds >= MAX_S) finish();
    });
    at("record").textContent = "Stop";
    at("record").classList.add("recording");
    at("level").hidden = false;
    model().catch(() => {}); // loads meanwhile; what goes wrong is told when it is needed
  });
});

async function finish() {
  const samples = recorder.stop();
  recorder = null;
  at("record").textContent = "Record";
  at("record").classList.remove("recording");
  at("level").hidden = true;
  await work(async (current) => {
    if (!samples.length) throw new Error("Nothing was recorded: is the microphone switched on?");
    await take("recording", samples, await model(), current);
  });
}

at("save").addEventListener("click", () =>
  work(async () => {
    const count = Number(at("bitrate").value) + 1;
    say("Coding the file", null);
    const loaded = await model();
    const bytes = await loaded.encodeFile([coded.samples], { numCodebooks: count });
    const name = `${coded.name.replace(/\.[^.]*$/, "")}.adc`;
    download(bytes, name);
    say("");
    const kbps = (bytes.length * 8) / 1000 / (coded.samples.length / RATE);
    at("saved").textContent = `${name}: ${bytes.length} bytes, ${kbps.toFixed(1)} kbps with all headers.`;
  }),
);

at("play").addEventListener("click", () => player.toggle());
at("position").addEventListener("input", ({ target }) =>
  player.seek(Number(target.value) * player.seconds),
);

document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || at("result").hidden) return;
  const chosen = [...versions.values()][Number(key) - 1];
  if (chosen && !chosen.choice.disabled) {
    chosen.choice.checked = true;
    chosen.choice.dispatchEvent(new Event("change"));
  } else if (key === " " && !target.closest("button, input, summary, a")) {
    event.preventDefault();
    player.toggle();
  }
});

player.onchange = () => {
  at("play").textContent = player.playing ? "Stop" : "Play";
  const part = player.seconds ? player.position / player.seconds : 0;
  at("position").value = part;
  at("position").setAttribute("aria-valuetext", `${player.position.toFixed(1)} seconds`);
  at("time").textContent = `${player.position.toFixed(1)} / ${player.seconds.toFixed(1)} s`;
  for (const version of versions.values()) version.mark(part);
};

new MutationObserver(showRate).observe(at("result"), { attributeFilter: ["hidden"] });
