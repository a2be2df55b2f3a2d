/**
 * The `.adc` file: a header, blocks of packets with CRC-32, a trailer. See docs/format.md.
 *
 * Every block but the last holds the same number of frames, so a block is found by arithmetic.
 */

import { crc32 } from "./crc32.js";
import { FormatError } from "./errors.js";
import { pack, packetSize } from "./packet.js";

const MAGIC = Uint8Array.of(0x89, 0x41, 0x44, 0x43, 0x0d, 0x0a, 0x1a, 0x0a);
const VERSION = 1;
const MAX_BLOCK_S = 2.56; // seconds of sound in a block, and so lost with it, at the most
export const HEADER_SIZE = 64;
export const BLOCK_HEAD_SIZE = 6; // CRC-32 of what follows, frames (0: this is the trailer)
export const TRAILER_SIZE = 14; // CRC-32 of what follows, 0, samples per channel
export const CRC_SIZE = 4;

const MAX_STREAMS = 64;
const MAX_BLOCK_FRAMES = 4096;

/**
 * The frames of a block: the largest power of two that lasts at most MAX_BLOCK_S.
 *
 * @param {number} modelRate
 * @param {number} hop
 */
export function framesPerBlock(modelRate, hop) {
  const frames = Math.max(1, Math.floor((MAX_BLOCK_S * modelRate) / hop));
  return Math.min(2 ** Math.floor(Math.log2(frames)), MAX_BLOCK_FRAMES);
}
const MAX_FRAME_BITS = 1024;
const [MIN_RATE, MAX_RATE] = [1000, 768000]; // Hz

/**
 * What a decoder must know before the first block.
 *
 * @typedef {object} HeaderFields
 * @property {string} modelId at most 24 ASCII characters
 * @property {Uint8Array} weightsHash first 8 bytes of the SHA-256 of the model's weights
 * @property {number} modelRate Hz at which the codec runs
 * @property {number} rate Hz of the original
 * @property {number} streams coded one by one
 * @property {number} hop samples per frame at `modelRate`
 * @property {number} codebooks
 * @property {number} bits of one code
 * @property {number} blockFrames
 */

export class Header {
  /** @param {HeaderFields} fields */
  constructor(fields) {
    this.modelId = fields.modelId;
    this.weightsHash = fields.weightsHash;
    this.modelRate = fields.modelRate;
    this.rate = fields.rate;
    this.streams = fields.streams;
    this.hop = fields.hop;
    this.codebooks = fields.codebooks;
    this.bits = fields.bits;
    this.blockFrames = fields.blockFrames;
  }

  /** Bytes of a full block. */
  get blockSize() {
    return this.sizeOf(this.blockFrames);
  }

  /**
   * Bytes of a block.
   *
   * @param {number} frames
   */
  sizeOf(frames) {
    return BLOCK_HEAD_SIZE + this.streams * packetSize(frames, this.codebooks, this.bits);
  }

  /**
   * Frames of the block that `data` begins with; 0 where that is none, or damaged.
   *
   * @param {Uint8Array} data
   */
  wholeFrames(data) {
    if (data.length <= BLOCK_HEAD_SIZE) return 0;
    const view = viewOf(data);
    const frames = view.getUint16(CRC_SIZE, true);
    if (!frames || frames > this.blockFrames || this.sizeOf(frames) > data.length) return 0;
    const body = data.subarray(CRC_SIZE, this.sizeOf(frames));
    return crc32(body) === view.getUint32(0, true) ? frames : 0;
  }

  /**
   * The packet of each stream in a whole block.
   *
   * @param {Uint8Array} block
   */
  packets(block) {
    const size = (block.length - BLOCK_HEAD_SIZE) / this.streams;
    return Array.from({ length: this.streams }, (_, i) =>
      block.subarray(BLOCK_HEAD_SIZE + i * size, BLOCK_HEAD_SIZE + (i + 1) * size),
    );
  }

  toBytes() {
    const bytes = new Uint8Array(HEADER_SIZE);
    const view = viewOf(bytes);
    bytes.set(MAGIC);
    bytes.set([VERSION, this.streams, this.codebooks, this.bits], 8);
    view.setUint16(12, this.hop, true);
    view.setUint16(14, this.blockFrames, true);
    view.setUint32(16, this.modelRate, true);
    view.setUint32(20, this.rate, true);
    bytes.set(this.weightsHash, 28);
    bytes.set(new TextEncoder().encode(this.modelId), 36);
    view.setUint32(60, crc32(bytes.subarray(0, 60)), true);
    return bytes;
  }

  /**
   * @param {Uint8Array} data
   * @returns {Header}
   * @throws {FormatError} not an .adc file, a newer version, damaged, or absurd values
   */
  static fromBytes(data) {
    if (MAGIC.some((byte, i) => data[i] !== byte)) {
      throw new FormatError("not an .adc file: the first bytes are not its signature");
    }
    if (data.length < HEADER_SIZE) throw new FormatError("the file ends inside its header");
    const view = viewOf(data);
    if (crc32(data.subarray(0, 60)) !== view.getUint32(60, true)) {
      throw new FormatError("the file's header is damaged (CRC differs)");
    }
    if (data[8] !== VERSION || view.getUint32(24, true)) {
      throw new FormatError(`the file has format version ${data[8]}; this reads ${VERSION}`);
    }
    const name = data.subarray(36, 60);
    const end = name.findLastIndex((byte) => byte !== 0) + 1;
    const header = new Header({
      modelId: String.fromCharCode(...name.subarray(0, end)),
      weightsHash: data.slice(28, 36),
      modelRate: view.getUint32(16, true),
      rate: view.getUint32(20, true),
      streams: data[9],
      hop: view.getUint16(12, true),
      codebooks: data[10],
      bits: data[11],
      blockFrames: view.getUint16(14, true),
    });
    const within = (/** @type {number} */ x, /** @type {number} */ least, /** @type {number} */ most) =>
      x >= least && x <= most;
    const sane =
      within(header.streams, 1, MAX_STREAMS) &&
      within(header.codebooks * header.bits, 1, MAX_FRAME_BITS) &&
      within(header.bits, 1, 16) &&
      within(header.blockFrames, 1, MAX_BLOCK_FRAMES) &&
      header.hop > 0 &&
      within(header.modelRate, MIN_RATE, MAX_RATE) &&
      within(header.rate, MIN_RATE, MAX_RATE);
    if (!sane || !/^[\x20-\x7e]*$/.test(header.modelId)) {
      throw new FormatError("the file's header holds impossible values");
    }
    return header;
  }
}

/** Makes a file front to back. */
export class Writer {
  /** @param {Header} header */
  constructor(header) {
    this.header = header;
    /** @type {Uint8Array[]} */
    this._pieces = [header.toBytes()];
  }

  /**
   * @param {Uint16Array[][]} streams codes of each; only the last block may be short
   */
  writeBlock(streams) {
    const packets = streams.map((codes) => pack(codes, this.header.bits));
    const frames = streams[0][0].length;
    const block = new Uint8Array(this.header.sizeOf(frames));
    viewOf(block).setUint16(CRC_SIZE, frames, true);
    packets.forEach((packet, i) => block.set(packet, BLOCK_HEAD_SIZE + i * packet.length));
    this._seal(block);
  }

  /**
   * Write the trailer.
   *
   * @param {number} samples exact length of each channel, at the original's rate
   * @returns {Uint8Array} the file
   */
  finish(samples) {
    const trailer = new Uint8Array(TRAILER_SIZE);
    viewOf(trailer).setBigUint64(BLOCK_HEAD_SIZE, BigInt(samples), true);
    this._seal(trailer);
    const file = new Uint8Array(this._pieces.reduce((sum, piece) => sum + piece.length, 0));
    let at = 0;
    for (const piece of this._pieces) {
      file.set(piece, at);
      at += piece.length;
    }
    return file;
  }

  /** @param {Uint8Array} piece whose first bytes become the CRC of the rest */
  _seal(piece) {
    viewOf(piece).setUint32(0, crc32(piece.subarray(CRC_SIZE)), true);
    this._pieces.push(piece);
  }
}

/**
 * The exact length that a trailer tells, or null when `data` begins with no trailer.
 *
 * @param {Uint8Array} data
 */
export function trailerSamples(data) {
  if (data.length < TRAILER_SIZE) return null;
  const view = viewOf(data);
  const whole =
    view.getUint16(CRC_SIZE, true) === 0 &&
    crc32(data.subarray(CRC_SIZE, TRAILER_SIZE)) === view.getUint32(0, true);
  return whole ? Number(view.getBigUint64(BLOCK_HEAD_SIZE, true)) : null;
}

/** @param {Uint8Array} bytes */
export function viewOf(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
