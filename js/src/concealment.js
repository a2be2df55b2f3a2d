/** Decoding of one stream, and what is heard in place of what was lost. */

import { ABSENT } from "./codebooks.js";

const FADE_OUT_S = 0.06; // in which concealment fades to silence
const FADE_IN_S = 0.005; // in which the first packet after a loss comes back

/** @typedef {import("./codebooks.js").Rows} Rows */

/**
 * What is heard in place of lost packets: the last frame received, fading to silence. The first
 * packet after a loss fades back in.
 */
class Concealment {
  /** @param {import("./config.js").ModelInfo} info */
  constructor(info) {
    this._rate = info.sampleRate;
    this._last = new Int32Array(info.codebooks).fill(ABSENT);
    this._gain = 1; // where it has faded to
  }

  /**
   * The last frame, in place of a packet that was lost.
   *
   * @param {number} frames
   * @returns {Rows}
   */
  fill(frames) {
    return Array.from(this._last, (code) => new Int32Array(frames).fill(code));
  }

  /**
   * Keep what may have to be repeated.
   *
   * @param {Rows} codes
   */
  keep(codes) {
    codes.forEach((row, codebook) => (this._last[codebook] = row[row.length - 1]));
  }

  /**
   * Make a decoded packet as loud as it should be.
   *
   * @param {Float32Array[]} channels changed in place
   * @param {boolean} lost
   */
  fade(channels, lost) {
    const before = this._gain;
    if (!lost && before === 1) return;
    const samples = channels[0].length;
    const ramp = Math.min(samples, Math.round(FADE_IN_S * this._rate));
    const step = 1 / (FADE_OUT_S * this._rate);
    let gain = before;
    for (let at = 0; at < samples; at++) {
      gain = lost
        ? Math.max(before - (at + 1) * step, 0)
        : Math.min(before + ((1 - before) * at) / Math.max(ramp - 1, 1), 1);
      for (const channel of channels) channel[at] *= gain;
    }
    this._gain = lost ? gain : 1;
  }
}

/** Codes of one stream in, sound out, with concealment of what is missing. */
export class Playback {
  /** @param {import("./runtime.js").Runtime} runtime */
  constructor(runtime) {
    this._runtime = runtime;
    this._state = runtime.decoderState();
    this._concealment = new Concealment(runtime.info);
    this._started = false;
  }

  /**
   * @param {Uint16Array[]} codes of leading codebooks
   * @returns {Promise<Float32Array[]>} channels
   */
  async play(codes) {
    this._started = true;
    const frames = codes[0].length;
    const rows = Array.from({ length: this._runtime.info.codebooks }, (_, i) =>
      codes[i] ? Int32Array.from(codes[i]) : new Int32Array(frames).fill(ABSENT),
    );
    return this._step(rows, false);
  }

  /**
   * Sound in place of lost frames; silence before the first.
   *
   * @param {number} frames
   * @returns {Promise<Float32Array[]>} channels
   */
  async conceal(frames) {
    const { channels, hop } = this._runtime.info;
    if (!this._started) return Array.from({ length: channels }, () => new Float32Array(frames * hop));
    return this._step(this._concealment.fill(frames), true);
  }

  /**
   * @param {Rows} rows
   * @param {boolean} lost
   */
  async _step(rows, lost) {
    const { channels, state } = await this._runtime.decode(rows, this._state);
    this._concealment.keep(rows);
    this._state = state;
    for (const channel of channels) clip(channel);
    this._concealment.fade(channels, lost);
    return channels;
  }
}

/** @param {Float32Array} channel */
export function clip(channel) {
  for (let i = 0; i < channel.length; i++) channel[i] = Math.min(Math.max(channel[i], -1), 1);
}
