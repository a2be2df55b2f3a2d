/** One version of the sound on the page: its choice, its numbers, its spectrogram. */

import { drawSpectrogram } from "./spectrogram.js";

export class Version {
  /**
   * @param {string} name
   * @param {string} title
   * @param {(part: number) => void} seek asked for a place in the sound, 0 to 1
   */
  constructor(name, title, seek) {
    this._title = title;
    this.element = document.createElement("label");
    this.element.className = "version";
    this.element.innerHTML = `
      <span class="head">
        <input type="radio" name="version" value="${name}">
        <strong>${title}</strong> <span class="facts" id="${name}-facts"></span>
      </span>
      <div class="picture">
        <canvas width="1200" height="224" role="img"></canvas>
        <span class="scale top">24 kHz</span><span class="scale bottom">0</span>
        <span class="now"></span>
      </div>`;
    this.choice = this.element.querySelector("input");
    this.choice.setAttribute("aria-describedby", `${name}-facts`);
    this._facts = this.element.querySelector(".facts");
    this._picture = this.element.querySelector(".picture");
    this._canvas = this.element.querySelector("canvas");
    this._now = this.element.querySelector(".now");
    this._canvas.addEventListener("click", ({ offsetX }) => seek(offsetX / this._canvas.clientWidth));
  }

  /** @param {Float32Array | null} samples null: this browser has no such version */
  show(samples, facts) {
    this._facts.textContent = facts;
    this.choice.disabled = !samples;
    this._picture.hidden = !samples;
    this._canvas.setAttribute("aria-label", `Spectrogram of ${this._title}`);
    if (samples) drawSpectrogram(this._canvas, samples);
  }

  /** @param {number} part of the sound that has been played */
  mark(part) {
    this._now.style.left = `calc(${100 * part}% - 1px)`;
  }
}
