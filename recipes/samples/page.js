"use strict";

// All versions of a clip play at once, from the same sample, and all but one are silent. Switching
// changes gains only, so nothing is lost or repeated.
const FADE_S = 0.005; // so that switching does not click
const STEP_S = 0.5; // of the arrow keys
const AHEAD_S = 0.05; // all sources are told to start at one moment that is still to come
let context = null;
let current = null; // the clip that keys talk to

const waiting = new Map(); // clip name -> what to do with its sounds
function loaded(name, sounds) { waiting.get(name)(sounds); }

class Clip {
  constructor(section) {
    this.section = section;
    this.name = section.dataset.name;
    this.seconds = Number(section.dataset.seconds);
    this.play = section.querySelector(".play");
    this.seek = section.querySelector(".seek");
    this.head = section.querySelector(".playhead");
    this.images = [...section.querySelectorAll(".picture img")];
    this.buttons = [...section.querySelectorAll(".version")];
    this.chosen = 0;
    this.position = 0; // seconds, while stopped
    this.sources = [];
    this.gains = [];
    this.buffers = null;
    this.play.addEventListener("click", () => this.toggle());
    this.seek.addEventListener("input", () => this.moveTo(this.seek.value * this.seconds));
    section.querySelector(".picture").addEventListener("click", (event) => {
      const box = event.currentTarget.getBoundingClientRect();
      this.moveTo(((event.clientX - box.left) / box.width) * this.seconds);
    });
    this.buttons.forEach((button, i) => button.addEventListener("click", () => this.choose(i)));
    section.addEventListener("pointerdown", () => this.makeCurrent());
    section.addEventListener("focusin", () => this.makeCurrent());
  }

  makeCurrent() {
    current?.section.classList.remove("current");
    current = this;
    this.section.classList.add("current");
  }

  get playing() { return this.sources.length > 0; }

  get now() {
    if (!this.playing) return this.position;
    return Math.max(0, context.currentTime - this.began) % this.seconds;
  }

  async load() {
    const sounds = await new Promise((resolve, reject) => {
      waiting.set(this.name, resolve);
      const script = document.createElement("script");
      script.src = `sounds/${this.name}.js`;
      script.onerror = () => reject(new Error(`${script.src} cannot be loaded`));
      document.head.append(script);
    });
    this.buffers = await Promise.all(sounds.map((sound) => {
      const bytes = Uint8Array.from(atob(sound), (letter) => letter.charCodeAt(0));
      return context.decodeAudioData(bytes.buffer);
    }));
  }

  async toggle() {
    if (this.playing) return this.stop();
    this.makeCurrent();
    this.play.disabled = true;
    try {
      context ??= new AudioContext();
      await context.resume();
      if (!this.buffers) await this.load();
      clips.forEach((clip) => clip.stop());
      this.start();
    } catch (error) {
      const place = this.section.querySelector(".error");
      place.textContent = `This clip cannot be played: ${error.message}`;
      place.hidden = false;
    }
    this.play.disabled = false;
    this.play.focus();
  }

  start() {
    const at = context.currentTime + AHEAD_S;
    this.began = at - this.position;
    this.buffers.forEach((buffer, i) => {
      const source = new AudioBufferSourceNode(context, { buffer, loop: true, loopEnd: this.seconds });
      const gain = new GainNode(context, { gain: i === this.chosen ? 1 : 0 });
      source.connect(gain).connect(context.destination);
      source.start(at, this.position);
      this.sources.push(source);
      this.gains.push(gain);
    });
    this.play.textContent = "❚❚";
    this.head.hidden = false;
    this.draw();
  }

  stop() {
    if (!this.playing) return;
    this.position = this.now;
    this.sources.forEach((source) => source.stop());
    this.sources = [];
    this.gains = [];
    this.play.textContent = "▶";
  }

  moveTo(seconds) {
    const playing = this.playing;
    this.stop();
    this.position = Math.min(Math.max(seconds, 0), this.seconds - 0.01);
    if (playing) this.start();
    this.head.hidden = false;
    this.show();
  }

  choose(number) {
    this.chosen = number;
    this.buttons.forEach((b, i) => b.setAttribute("aria-checked", i === number));
    this.images.forEach((image, i) => { image.hidden = i !== number; });
    this.gains.forEach((gain, i) => {
      gain.gain.setTargetAtTime(i === number ? 1 : 0, context.currentTime, FADE_S);
    });
  }

  show() {
    this.seek.value = this.now / this.seconds;
    this.head.style.left = `${(100 * this.now) / this.seconds}%`;
  }

  draw() {
    this.show();
    if (this.playing) requestAnimationFrame(() => this.draw());
  }
}

const clips = [...document.querySelectorAll(".clip")].map((section) => new Clip(section));
clips[0].makeCurrent();

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const number = Number(event.key) - 1;
  if (event.key === " " && !event.target.closest(".version")) {
    event.preventDefault();
    if (!event.repeat) current.toggle();
  } else if (number >= 0 && number < current.buttons.length) {
    current.choose(number);
  } else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
    event.preventDefault();
    current.moveTo(current.now + (event.key === "ArrowLeft" ? -STEP_S : STEP_S));
  }
});
