/** The page "call": a room, microphone and loudspeaker, and what the call tells of itself. */

import { loadInWorker } from "./audiodec/index.js";
import { RATE, openMicrophone, words } from "./audio.js";
import { Meter } from "./meter.js";
import { Room, randomName } from "./room.js";

const MODEL = "models/speech-48k/";
const LOOK_MS = 500; // between two looks at the numbers
const GOODBYE_MS = 300; // for the goodbye to leave

const at = (id) => document.getElementById(id);
const given = new URLSearchParams(location.hash.slice(1));
const own = new Meter(at("own-level"));
const theirs = new Meter(at("their-level"));
let running = null; // the call

at("start").textContent = given.get("room") ? "Join the call" : "Start a call";
at("token").value = given.get("token") ?? "";

/** A call from start to hanging up, over any number of connections. */
class Running {
  constructor(codec, context, stream) {
    this.codec = codec;
    this.context = context;
    this.stream = stream;
    this.muted = false;
    this.call = null; // over the connection there is
    this.ended = false;
    own.listen(context, context.createMediaStreamSource(stream));
  }

  join(where) {
    this.room = new Room(where, {
      say,
      onopen: (way) => this.connect(way),
      onlost: () => this.disconnect(),
      onrefused: (reason) => {
        end();
        problem(`The room is closed: ${reason}.`);
      },
    });
  }

  async connect(way) {
    const call = await this.codec.call(
      {
        context: this.context,
        stream: this.stream,
        send: (datagram) => way.send(datagram),
        onState: (state) => this.heard(state),
        onError: (error) => {
          problem(words(error));
          end();
        },
      },
      { bitrate: Number(at("bitrate").value) || undefined, dtx: at("quiet").checked },
    );
    if (this.ended) return call.hangUp();
    this.call = call;
    call.microphone.muted = this.muted;
    theirs.listen(this.context, call.loudspeaker.output);
    way.onmessage = (datagram) => call.receive(datagram);
    this.timer = setInterval(async () => show(await call.summary()), LOOK_MS);
  }

  heard({ connected, hungUp, gone }) {
    if (gone && !hungUp) {
      this.room.rejoin();
    } else if (hungUp) {
      this.over = true;
      say("The other end has hung up. Wait for it to come back, or hang up.");
    } else if (connected) {
      say("Connected: talk.");
      at("numbers").hidden = false;
    }
  }

  disconnect() {
    clearInterval(this.timer);
    theirs.stop();
    this.call?.hangUp();
    this.call = null;
  }

  async end() {
    this.ended = true;
    this.disconnect();
    await new Promise((done) => setTimeout(done, GOODBYE_MS));
    this.room?.leave();
    for (const track of this.stream.getTracks()) track.stop();
    own.stop();
    await this.context.close();
    this.codec.close();
  }

  async use(deviceId) {
    const stream = await openMicrophone(constraints(deviceId));
    for (const track of this.stream.getTracks()) track.stop();
    this.stream = stream;
    this.call?.microphone.use(stream);
    own.listen(this.context, this.context.createMediaStreamSource(stream));
  }
}

function say(text) {
  at("status").textContent = text;
}

function problem(text) {
  at("problem").textContent = text;
}

function constraints(deviceId) {
  const clean = at("clean").checked;
  return {
    ...(deviceId ? { deviceId: { exact: deviceId } } : {}),
    channelCount: 1,
    echoCancellation: clean,
    noiseSuppression: clean,
    autoGainControl: clean,
  };
}

/** What the numbers mean is in docs/call.md. */
function show(summary) {
  const { payload_kbps, bitrate_now_kbps, lost, received, delay_ms } = summary;
  const times = summary.played + summary.recovered + summary.concealed + summary.noise;
  const share = (part, whole) => `${((100 * part) / Math.max(1, whole)).toFixed(1)} %`;
  at("kbps").textContent = `${payload_kbps.toFixed(1)} kbps`;
  at("kbps").title = `speech at ${bitrate_now_kbps} kbps; the rest is redundancy`;
  at("lost").textContent = share(lost, lost + received);
  at("concealed").textContent = share(summary.concealed, times);
  at("delay").textContent = delay_ms === null ? "-" : `${delay_ms.toFixed(0)} ms`;
  at("slow").hidden = !summary.skipped;
  if (at("all").open) at("rows").replaceChildren(...Object.entries(summary).map(row));
}

function row([name, value]) {
  const line = document.createElement("tr");
  const written = typeof value === "number" ? Math.round(100 * value) / 100 : (value ?? "-");
  for (const [tag, text] of [["th", name.replaceAll("_", " ")], ["td", written]]) {
    line.append(Object.assign(document.createElement(tag), { textContent: text }));
  }
  return line;
}

/** STUN and TURN servers of the settings. */
function servers() {
  return at("servers")
    .value.split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([urls]) => urls)
    .map(([urls, username, credential]) => (username ? { urls, username, credential } : { urls }));
}

async function start() {
  problem("");
  say("Asking for the microphone.");
  at("start").disabled = true;
  let stream;
  try {
    stream = await openMicrophone(constraints(at("microphone").value));
    await listDevices();
    const context = new AudioContext({ sampleRate: RATE, latencyHint: "interactive" });
    await context.resume();
    const codec = await loadInWorker(MODEL, {
      progress: ({ loaded, total }) => {
        say(`Loading the model: ${(loaded / 1e6).toFixed(1)} MB`);
        at("progress").hidden = false;
        if (total) at("progress").value = loaded / total;
      },
    });
    offerBitrates(codec.bitrates);
    running = new Running(codec, context, stream);
    await choose(at("loudspeaker").value);
    if (!given.get("room")) given.set("room", randomName());
    if (at("token").value) given.set("token", at("token").value);
    history.replaceState(null, "", `#${given}`);
    at("link").value = location.href;
    running.join({
      url: given.get("server") ?? new URL("room", location.href).href.replace(/^http/, "ws"),
      room: given.get("room"),
      token: at("token").value,
      ice: servers(),
    });
  } catch (error) {
    for (const track of stream?.getTracks() ?? []) track.stop();
    say("");
    problem(words(error));
  }
  at("progress").hidden = true;
  inCall(running !== null);
}

function inCall(yes) {
  at("start").hidden = yes;
  at("start").disabled = false;
  for (const id of ["mute", "hang-up", "invitation"]) at(id).hidden = !yes;
  if (!yes) at("numbers").hidden = true;
}

function end() {
  const ending = running;
  running = null;
  mute(false);
  inCall(false);
  say("The call is over.");
  return ending?.end();
}

function mute(yes) {
  at("mute").setAttribute("aria-pressed", String(yes));
  at("mute").textContent = yes ? "Muted" : "Mute";
  if (!running) return;
  running.muted = yes;
  if (running.call) running.call.microphone.muted = yes;
}

async function listDevices() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  for (const [id, kind] of [
    ["microphone", "audioinput"],
    ["loudspeaker", "audiooutput"],
  ]) {
    const { value } = at(id);
    const found = devices.filter((device) => device.kind === kind && device.deviceId);
    at(id).replaceChildren(
      new Option("The usual one", ""),
      ...found.map(({ label, deviceId }, n) => new Option(label || `${kind} ${n + 1}`, deviceId)),
    );
    at(id).value = found.some(({ deviceId }) => deviceId === value) ? value : "";
  }
}

/** Play by this loudspeaker, where the browser lets a page choose. */
async function choose(deviceId) {
  if (running?.context.setSinkId) await running.context.setSinkId(deviceId);
}

function offerBitrates(rates) {
  const { value } = at("bitrate");
  at("bitrate").replaceChildren(...rates.map((kbps) => new Option(`${kbps} kbps`, kbps)));
  at("bitrate").value = value || rates.at(-1);
}

/** Do it; what goes wrong is told in words. */
function attempt(task) {
  return async (event) => {
    problem("");
    try {
      await task(event);
    } catch (error) {
      problem(words(error));
    }
  };
}

at("start").addEventListener("click", start);
at("hang-up").addEventListener("click", end);
at("mute").addEventListener("click", () => mute(!running.muted));
at("microphone").addEventListener("change", attempt(async ({ target }) => running?.use(target.value)));
at("loudspeaker").addEventListener("change", attempt(async ({ target }) => choose(target.value)));
at("copy").addEventListener("click", attempt(async () => {
  at("link").select();
  await navigator.clipboard.writeText(at("link").value);
  say("The link is copied.");
}));
navigator.mediaDevices?.addEventListener("devicechange", listDevices);
addEventListener("pagehide", () => running?.room?.leave());
