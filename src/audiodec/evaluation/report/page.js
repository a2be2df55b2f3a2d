"use strict";

// Tables: a heading sorts by its column, again the other way; cells without a value stay last.
for (const heading of document.querySelectorAll("thead button")) {
  heading.addEventListener("click", () => {
    const cell = heading.closest("th"), body = cell.closest("table").tBodies[0];
    const descending = cell.getAttribute("aria-sort") === "ascending";
    for (const other of cell.parentElement.children) other.removeAttribute("aria-sort");
    cell.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const value = (row) => {
      const text = row.children[cell.cellIndex].dataset.value;
      return text === "" ? null : Number(text);
    };
    const compare = (a, b) => {
      const x = value(a), y = value(b);
      if (x === null || y === null) return (x === null) - (y === null);
      return descending ? y - x : x - y;
    };
    body.append(...[...body.rows].sort(compare));
  });
}

// Charts: the legend hides a codec, and brings it out while pointed at.
for (const button of document.querySelectorAll(".legend button")) {
  const curves = document.querySelectorAll(`.curve[data-family="${button.dataset.family}"]`);
  const bringOut = (on) => {
    const shown = on && button.getAttribute("aria-pressed") === "true";
    for (const charts of document.querySelectorAll(".charts")) charts.classList.toggle("focus", shown);
    for (const curve of curves) curve.classList.toggle("chosen", shown);
  };
  button.addEventListener("click", () => {
    const shown = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", shown);
    for (const curve of curves) curve.style.display = shown ? "" : "none";
    bringOut(shown && button.matches(":hover"));
  });
  button.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && bringOut(true));
  button.addEventListener("pointerleave", () => bringOut(false));
}

// Players. All versions of a clip play at once, from the same sample, and all but one are silent:
// switching is a change of gains, so nothing is lost or repeated.
const FADE = 0.005; // seconds, so that switching does not click
let context = null;
let playing = null;

class Player {
  constructor(clip) {
    this.clip = clip;
    this.buttons = [...clip.querySelectorAll(".version")];
    this.play = clip.querySelector(".play");
    this.seek = clip.querySelector(".seek");
    this.now = clip.querySelector(".now");
    this.seconds = Number(clip.dataset.seconds);
    this.position = 0; // seconds, while stopped
    this.chosen = 0;
    this.sources = [];
    this.play.addEventListener("click", () => (this.sources.length ? this.stop() : this.start()));
    this.seek.addEventListener("input", () => this.moveTo(Number(this.seek.value) * this.seconds));
    this.buttons.forEach((button, i) => button.addEventListener("click", () => this.choose(i)));
  }

  async start() {
    context ??= new AudioContext();
    this.play.disabled = true;
    await context.resume();
    this.buffers ??= await Promise.all(this.buttons.map((b) => decode(b.dataset.audio)));
    this.play.disabled = false;
    playing?.stop();
    playing = this;
    this.begin();
    this.play.textContent = "Pause";
    this.draw();
  }

  begin() {
    const at = context.currentTime + 0.02;
    this.began = at - this.position;
    this.gains = this.buffers.map((buffer, i) => {
      const source = new AudioBufferSourceNode(context, { buffer, loop: true });
      const gain = new GainNode(context, { gain: i === this.chosen ? 1 : 0 });
      source.connect(gain).connect(context.destination);
      source.start(at, this.position);
      this.sources.push(source);
      return gain.gain;
    });
  }

  end() {
    for (const source of this.sources) source.stop();
    this.sources = [];
  }

  stop() {
    this.position = this.at();
    this.end();
    this.play.textContent = "Play";
    playing = null;
    this.draw();
  }

  moveTo(seconds) {
    this.position = Math.min(seconds, this.seconds - 0.01);
    if (this.sources.length) {
      this.end();
      this.begin();
    }
    this.draw();
  }

  choose(number) {
    this.chosen = number;
    this.buttons.forEach((button, i) => button.setAttribute("aria-pressed", i === number));
    if (this.sources.length) {
      this.gains.forEach((gain, i) => gain.setTargetAtTime(i === number ? 1 : 0, context.currentTime, FADE));
    }
  }

  at() {
    if (!this.sources.length) return this.position;
    return Math.max(0, context.currentTime - this.began) % this.seconds;
  }

  draw() {
    const at = this.at();
    this.clip.style.setProperty("--at", at / this.seconds);
    this.seek.value = at / this.seconds;
    this.now.value = `${at.toFixed(1)} s`;
    if (this.sources.length) requestAnimationFrame(() => this.draw());
  }
}

async function decode(uri) {
  const bytes = Uint8Array.from(atob(uri.slice(uri.indexOf(",") + 1)), (c) => c.charCodeAt(0));
  return context.decodeAudioData(bytes.buffer);
}

for (const clip of document.querySelectorAll(".clip:has(.play)")) new Player(clip);
