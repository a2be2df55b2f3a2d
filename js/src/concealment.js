/** Decoding of one stream, and what is heard in place of what was lost. */

import { ABSENT } from "./codebooks.js";

const PAST_FRAMES = 20; // around lost frames, from which they are guessed
const AHEAD_FRAMES = 9;
const PIECE_FRAMES = 24; // guessed at once
const HOLD_S = 0.1; // for which guesses are as loud as they come; none where frames are only repeated
const FADE_OUT_S = 0.06; // in which concealment then fades to silence
const FADE_IN_S = 0.005; // in which the first packet after a loss comes back

/** @typedef {import("./codebooks.js").Rows} Rows */

/** Values of frames, row after row: [rows, frames]. */
class Frames {
  /**
   * @param {number} rows
   * @param {number} frames
   * @param {Float32Array} [values]
   */
  constructor(rows, frames, values = new Float32Array(rows * frames)) {
    this.rows = rows;
    this.frames = frames;
    this.values = values;
  }

  /**
   * @param {number} start
   * @param {number} end
   */
  slice(start, end) {
    const part = new Frames(this.rows, end - start);
    part.put(this, -start);
    return part;
  }

  /**
   * Copy what fits of other frames, the first of which belongs at `at`.
   *
   * @param {Frames} other
   * @param {number} at
   */
  put(other, at) {
    const [start, end] = [Math.max(at, 0), Math.min(at + other.frames, this.frames)];
    for (let row = 0; row < this.rows; row++) {
      const from = row * other.frames - at;
      const part = other.values.subarray(from + start, from + end);
      this.values.set(part, row * this.frames + start);
    }
  }

  /** @param {Frames} other frames after these */
  followedBy(other) {
    const both = new Frames(this.rows, this.frames + other.frames);
    both.put(this, 0);
    both.put(other, this.frames);
    return both;
  }
}

/**
 * What is heard in place of lost packets.
 *
 * A model with a concealment graph guesses their latents from what is known around them: frames
 * before, coarse copies, and packets after the gap that have already come. A model without repeats
 * its last frame. Where a gap lasts, its sound fades to silence; the first packet after it fades
 * back in. These rules are those of src/audiodec/playback.py.
 */
class Concealment {
  /** @param {import("./runtime.js").Runtime} runtime */
  constructor(runtime) {
    const { info } = (this._runtime = runtime);
    this._rate = info.sampleRate;
    this._hop = info.hop;
    this._codebooks = info.codebooks;
    // Of the frames before, only what was received: guesses are never built on guesses.
    this._past = new Frames(info.dim, PAST_FRAMES);
    this._known = new Frames(1, PAST_FRAMES);
    this._last = new Frames(info.dim, 1); // latents decoded last
    this._gap = 0; // samples heard since something was known
  }

  /**
   * The latents of a packet, what is lost filled in.
   *
   * @param {Rows} codes `ABSENT` where one is
   * @param {boolean} incomplete the packet is lost, wholly or but for a coarse copy
   * @param {Rows | null} ahead what has come of the packets after
   * @returns {Promise<Float32Array>} [dim, frames]
   */
  async fill(codes, incomplete, ahead) {
    const frames = codes[0].length;
    const width = frames + AHEAD_FRAMES;
    const around = codes.map((row, codebook) => {
      const wide = new Int32Array(width).fill(ABSENT);
      wide.set(row);
      if (ahead) wide.set(ahead[codebook].subarray(0, AHEAD_FRAMES), frames);
      return wide;
    });
    const latents = new Frames(this._last.rows, width, this._runtime.dequantize(around));
    const known = new Frames(1, width);
    for (const row of around) row.forEach((code, t) => (known.values[t] += code === ABSENT ? 0 : 1));
    known.values.forEach((count, t) => (known.values[t] = count / this._codebooks));
    const filled = latents.slice(0, frames);
    for (let start = 0; start < frames; start += PIECE_FRAMES) {
      const end = Math.min(start + PIECE_FRAMES, frames);
      if (incomplete) {
        const beyond = end + AHEAD_FRAMES;
        const piece = [latents.slice(start, beyond), known.slice(start, beyond)];
        filled.put(await this._fill(piece[0], piece[1], end - start, start * this._hop), start);
      }
      this._past = newest(this._past.followedBy(latents.slice(start, end)));
      this._known = newest(this._known.followedBy(known.slice(start, end)));
      this._last = filled.slice(end - 1, end);
    }
    return filled.values;
  }

  /**
   * The first frames of an incomplete packet.
   *
   * @param {Frames} latents
   * @param {Frames} known share of the codebooks that are
   * @param {number} frames
   * @param {number} later samples after the packet's beginning
   */
  async _fill(latents, known, frames, later) {
    const shares = known.values.subarray(0, frames);
    const filled = latents.slice(0, frames);
    for (const [t, share] of shares.entries()) if (!share) filled.put(this._last, t);
    const heard = this._gain(this._gap + later) > 0 || shares.some((share) => share > 0);
    if (!this._runtime.guesses || !heard) return filled;
    const around = this._past.followedBy(latents);
    const values = await this._runtime.guess(around.values, this._known.followedBy(known).values);
    const guess = new Frames(around.rows, around.frames, values);
    for (const [t, share] of shares.entries()) {
      if (share < 1) filled.put(guess.slice(PAST_FRAMES + t, PAST_FRAMES + t + 1), t);
    }
    return filled;
  }

  /**
   * How loud concealment is, so many samples into a gap.
   *
   * @param {number} gap
   */
  _gain(gap) {
    const hold = this._runtime.guesses ? HOLD_S * this._rate : 0;
    return Math.min(Math.max(1 - (gap - hold) / (FADE_OUT_S * this._rate), 0), 1);
  }

  /**
   * Make a decoded packet as loud as it should be.
   *
   * @param {Float32Array[]} channels changed in place
   * @param {boolean} lost wholly
   */
  fade(channels, lost) {
    const gap = this._gap;
    if (!lost && !gap) return;
    const samples = channels[0].length;
    const before = this._gain(gap);
    const ramp = Math.min(samples, Math.round(FADE_IN_S * this._rate));
    for (let at = 0; at < samples; at++) {
      const gain = lost
        ? this._gain(gap + at + 1)
        : Math.min(before + ((1 - before) * at) / Math.max(ramp - 1, 1), 1);
      for (const channel of channels) channel[at] *= gain;
    }
    this._gap = lost ? gap + samples : 0;
  }
}

/** @param {Frames} frames @returns {Frames} as many as are kept of the past */
function newest(frames) {
  return frames.slice(frames.frames - PAST_FRAMES, frames.frames);
}

/** Codes of one stream in, sound out, with concealment of what is missing. */
export class Playback {
  /** @param {import("./runtime.js").Runtime} runtime */
  constructor(runtime) {
    this._runtime = runtime;
    this._state = runtime.decoderState();
    this._concealment = new Concealment(runtime);
    this._started = false;
  }

  /**
   * @param {Uint16Array[]} codes of leading codebooks
   * @param {boolean} [coarse] the codebooks that are absent were lost
   * @param {Rows | null} [ahead] what has come of the packets after
   * @returns {Promise<Float32Array[]>} channels
   */
  async play(codes, coarse = false, ahead = null) {
    this._started = true;
    const frames = codes[0].length;
    const rows = Array.from({ length: this._runtime.info.codebooks }, (_, i) =>
      codes[i] ? Int32Array.from(codes[i]) : new Int32Array(frames).fill(ABSENT),
    );
    return this._step(rows, coarse, false, ahead);
  }

  /**
   * Sound in place of lost frames; silence before the first.
   *
   * @param {number} frames
   * @param {Rows | null} [ahead] what has come of the packets after
   * @returns {Promise<Float32Array[]>} channels
   */
  async conceal(frames, ahead = null) {
    const { channels, codebooks, hop } = this._runtime.info;
    if (!this._started) return Array.from({ length: channels }, () => new Float32Array(frames * hop));
    const nothing = Array.from({ length: codebooks }, () => new Int32Array(frames).fill(ABSENT));
    return this._step(nothing, true, true, ahead);
  }

  /**
   * @param {Rows} rows
   * @param {boolean} incomplete
   * @param {boolean} lost
   * @param {Rows | null} ahead
   */
  async _step(rows, incomplete, lost, ahead) {
    const latents = await this._concealment.fill(rows, incomplete, ahead);
    const { channels, state } = await this._runtime.decode(latents, this._state);
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
