/** A loaded model: whole signals, and streams to open. */

import { decodeFile, encodeFile } from "./adc.js";
import { checkCodes, checkSignal, checkWhole, countCodebooks } from "./checks.js";
import { Playback } from "./concealment.js";
import { FormatError } from "./errors.js";
import { readModel } from "./model.js";
import { CHUNK, Runtime } from "./runtime.js";
import { asSignal, Decoder, Encoder, joined } from "./session.js";

const BUNDLED = new URL("../models/speech-48k/", import.meta.url); // in the npm package

/**
 * Load a model, ready to encode and decode.
 *
 * @param {string | URL} [folder] of the model: `model.json`, two ONNX graphs, weights. In Node also
 *   a path. If not given, the model inside the npm package, where the package is served as it is.
 * @param {{progress?: (progress: import("./model.js").Progress) => void} &
 *   import("./runtime.js").RuntimeOptions} [options] `progress` is called as bytes arrive
 * @returns {Promise<Codec>}
 * @throws {import("./errors.js").ModelError} there is no model, or its files are damaged
 */
export async function load(folder = BUNDLED, { progress, ...options } = {}) {
  return new Codec(await Runtime.start(await readModel(folder, progress), options));
}

/**
 * A loaded model, for whole signals; `encoder` and `decoder` open streams.
 *
 * Sound is a Float32Array in [-1, 1] at the model's rate; for a model of several channels an array
 * of them, one per channel.
 */
export class Codec {
  /** @param {Runtime} runtime */
  constructor(runtime) {
    this.runtime = runtime;
    /** Identity and numbers of the model. */
    this.info = runtime.info;
  }

  /** Hz at which the model codes. */
  get sampleRate() {
    return this.info.sampleRate;
  }

  /** Channels that are coded together. */
  get channels() {
    return this.info.channels;
  }

  /** Samples per frame, which is also the algorithmic latency. */
  get hop() {
    return this.info.hop;
  }

  /** kbps on offer; the n-th is that of n codebooks. */
  get bitrates() {
    return this.info.bitrates;
  }

  /**
   * Code a signal; the last frame is filled up with zeros.
   *
   * @param {Float32Array | Float32Array[]} samples
   * @param {{bitrate?: number, numCodebooks?: number}} [options] kbps, or how many codebooks to code
   *   with; all if neither is given
   * @returns {Promise<Uint16Array[]>} codes: one row per codebook, one value per frame
   */
  async encode(samples, options = {}) {
    const signal = checkSignal(samples, this.channels);
    const count = countCodebooks(this.info, options);
    const frames = Math.ceil(signal[0].length / this.hop);
    const codes = Array.from({ length: count }, () => new Uint16Array(frames));
    let state = this.runtime.encoderState();
    for (let at = 0; at < frames; at += CHUNK) {
      const end = Math.min(at + CHUNK, frames);
      const piece = signal.map((x) => padded(x, at * this.hop, end * this.hop));
      const made = await this.runtime.encode(piece, state, count);
      codes.forEach((row, i) => row.set(made.codes[i], at));
      state = made.state;
    }
    return codes;
  }

  /**
   * Turn the codes of a whole signal back into sound.
   *
   * @param {ArrayLike<number>[]} codes one row per codebook; the leading codebooks suffice
   * @param {{length?: number}} [options] samples to return; all if not given. The signal's own
   *   length brings it back to the sample.
   * @returns {Promise<Float32Array | Float32Array[]>}
   */
  async decode(codes, { length } = {}) {
    checkCodes(codes, this.info);
    const frames = codes[0].length;
    const rows = codes.map((row) => Uint16Array.from(row));
    const samples = length === undefined ? frames * this.hop : checkWhole(length, "length", 0);
    if (samples > frames * this.hop) {
      throw new FormatError(`${frames} frames hold fewer than ${samples} samples`);
    }
    const playback = new Playback(this.runtime);
    let signal = Array.from({ length: this.channels }, () => new Float32Array(frames * this.hop));
    for (let at = 0; at < frames; at += CHUNK) {
      const piece = await playback.play(rows.map((row) => row.subarray(at, at + CHUNK)));
      signal.forEach((channel, i) => channel.set(piece[i], at * this.hop));
    }
    return asSignal(signal.map((channel) => channel.subarray(0, samples)));
  }

  /**
   * Code channels to an `.adc` file.
   *
   * @param {Float32Array[]} channels equally long, at the model's rate
   * @param {import("./adc.js").FileOptions} [options]
   * @returns {Promise<Uint8Array>}
   */
  encodeFile(channels, options) {
    return encodeFile(this, channels, options);
  }

  /**
   * Decode an `.adc` file. Lost blocks are concealed, and told.
   *
   * @param {Uint8Array} file
   * @throws {FormatError} it is no `.adc` file, or nothing in it is whole
   * @throws {import("./errors.js").ModelError} it was made with another model
   */
  decodeFile(file) {
    return decodeFile(this, file);
  }

  /**
   * Open a stream of sound to code.
   *
   * @param {import("./session.js").EncoderOptions} [options]
   */
  encoder(options) {
    return new Encoder(this.runtime, options);
  }

  /**
   * Open a stream of packets to decode.
   *
   * @param {import("./session.js").DecoderOptions} [options]
   */
  decoder(options) {
    return new Decoder(this.runtime, options);
  }
}

/**
 * @param {Float32Array} channel
 * @param {number} start
 * @param {number} end beyond the channel's end are zeros
 */
function padded(channel, start, end) {
  const piece = channel.subarray(start, end);
  return joined(piece, new Float32Array(end - start - piece.length));
}
