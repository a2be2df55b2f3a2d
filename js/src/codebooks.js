/** A residual quantizer's code vectors: codes to latents. */

import { readTensor } from "./safetensors.js";

export const ABSENT = -1; // code of a codebook that was not sent: it adds nothing

/** Codes inside the codec, one row per codebook; `ABSENT` where none came. @typedef {Int32Array[]} Rows */

export class Codebooks {
  /** @param {import("./model.js").Model} model */
  constructor({ info, files }) {
    this._size = info.codebookSize;
    this._dim = info.dim;
    this._vectors = readTensor(files["weights.safetensors"], "quantizer.codebooks", [
      info.codebooks,
      info.codebookSize,
      info.dim,
    ]);
  }

  /**
   * The sums of code vectors that codes stand for.
   *
   * @param {Rows} codes
   * @returns {Float32Array} quantized latents, [dim, frames]
   */
  decode(codes) {
    const frames = codes[0].length;
    const latents = new Float32Array(this._dim * frames);
    codes.forEach((row, codebook) => {
      row.forEach((code, frame) => {
        if (code === ABSENT) return;
        const vector = (codebook * this._size + code) * this._dim;
        for (let d = 0; d < this._dim; d++) latents[d * frames + frame] += this._vectors[vector + d];
      });
    });
    return latents;
  }
}
