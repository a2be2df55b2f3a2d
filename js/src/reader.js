/** Reading `.adc` files: whole blocks in their place, and what is wrong, in one line. */

import { Header, HEADER_SIZE, trailerSamples } from "./container.js";
import { unpack } from "./packet.js";

/**
 * @typedef {object} Block
 * @property {number} frames
 * @property {Uint16Array[][] | null} codes of each stream; null when they are lost
 */

export class Reader {
  /**
   * @param {Uint8Array} file
   * @throws {import("./errors.js").FormatError} the header is unusable
   */
  constructor(file) {
    this.header = Header.fromBytes(file);
    this._file = file;
    /** @type {{offset: number, frames: number, whole: boolean}[]} */
    this._blocks = [];
    /** Samples per channel at the original's rate; null where the end is missing. */
    this.samples = /** @type {number | null} */ (null);
    let at = HEADER_SIZE;
    for (; at < file.length; at += this.header.blockSize) {
      const rest = file.subarray(at);
      this.samples = trailerSamples(rest);
      if (this.samples !== null) break;
      const frames = this.header.wholeFrames(rest);
      if (frames && frames < this.header.blockFrames) {
        this._blocks.push({ offset: at, frames, whole: true });
        this.samples = trailerSamples(file.subarray(at + this.header.sizeOf(frames)));
        break;
      }
      this._blocks.push({ offset: at, frames: this.header.blockFrames, whole: frames > 0 });
    }
    this.frames = this._blocks.reduce((sum, block) => sum + block.frames, 0);
    this.blocksWhole = this._blocks.filter((block) => block.whole).length;
    this.blocksLost = this._blocks.length - this.blocksWhole;
    const told = [];
    if (this.blocksLost) {
      told.push(`${this.blocksLost} of ${this._blocks.length} blocks are lost`);
    }
    if (this.samples === null) {
      told.push("truncated: the end is missing, so the exact length is not known");
    }
    /** What is wrong with the file, in one line; empty where nothing is. */
    this.damage = told.join("; ");
  }

  /**
   * The blocks in order, lost ones in their place.
   *
   * @returns {Generator<Block>}
   */
  *blocks() {
    const { codebooks, bits } = this.header;
    for (const { offset, frames, whole } of this._blocks) {
      const data = this._file.subarray(offset, offset + this.header.sizeOf(frames));
      const codes = whole
        ? this.header.packets(data).map((packet) => unpack(packet, frames, codebooks, bits))
        : null;
      yield { frames, codes };
    }
  }
}
