/**
 * A packet: the codes of a whole number of frames, bit-packed, nothing else. See docs/format.md.
 *
 * Frame after frame, in each frame codebook after codebook, each code in `bits` bits, most
 * significant bit first. Only the end of the packet is padded, with fewer than 8 zero bits.
 */

import { FormatError } from "./errors.js";

/** Codes of a signal: one row per codebook, one value per frame. @typedef {Uint16Array[]} Codes */

/** What both ends of a stream must agree on before its first packet. */
export class PacketFormat {
  /**
   * @param {number} frames in every packet
   * @param {number} codebooks of the model: the most that a packet carries codes of
   * @param {number} bits of one code, 1 to 16
   * @param {number} hop samples per frame
   * @param {number} sampleRate Hz
   */
  constructor(frames, codebooks, bits, hop, sampleRate) {
    this.frames = frames;
    this.codebooks = codebooks;
    this.bits = bits;
    this.hop = hop;
    this.sampleRate = sampleRate;
  }

  /** Samples of sound in a packet, per channel. */
  get samples() {
    return this.frames * this.hop;
  }

  /** Seconds of sound in a packet. */
  get seconds() {
    return this.samples / this.sampleRate;
  }

  /**
   * Bytes of a packet that carries the codes of so many codebooks.
   *
   * @param {number} numCodebooks
   */
  size(numCodebooks) {
    return packetSize(this.frames, numCodebooks, this.bits);
  }

  /**
   * How many codebooks a packet carries codes of: its length tells.
   *
   * @param {Uint8Array} packet
   * @throws {FormatError} the bytes are no packet of this format
   */
  codebooksOf(packet) {
    if (!(packet instanceof Uint8Array)) {
      throw new FormatError(`a packet is a Uint8Array, or null for a lost one, not ${packet}`);
    }
    const count = Math.floor((8 * packet.length) / (this.frames * this.bits));
    if (count < 1 || count > this.codebooks || this.size(count) !== packet.length) {
      throw new FormatError(
        `${packet.length} bytes are no packet of ${this.frames} frames and up to ` +
          `${this.codebooks} codebooks`,
      );
    }
    checkPadding(packet, this.frames * count * this.bits);
    return count;
  }

  /**
   * Write the codes of leading codebooks as a packet.
   *
   * @param {Codes} codes
   */
  pack(codes) {
    return pack(codes, this.bits);
  }

  /**
   * Read the codes of a packet.
   *
   * @param {Uint8Array} packet
   * @throws {FormatError} like `codebooksOf`
   */
  unpack(packet) {
    return unpack(packet, this.frames, this.codebooksOf(packet), this.bits);
  }
}

/**
 * Bytes of a packet.
 *
 * @param {number} frames
 * @param {number} numCodebooks
 * @param {number} bits
 */
export function packetSize(frames, numCodebooks, bits) {
  return Math.ceil((frames * numCodebooks * bits) / 8);
}

/**
 * Write codes, each below 2 ** bits, as a packet.
 *
 * @param {Codes} codes
 * @param {number} bits of one code
 * @throws {FormatError} a code does not fit its bits
 */
export function pack(codes, bits) {
  const frames = codes[0].length;
  const packet = new Uint8Array(packetSize(frames, codes.length, bits));
  let [waiting, count, at] = [0, 0, 0]; // bits that do not fill a byte yet, how many, where to
  for (let frame = 0; frame < frames; frame++) {
    for (const row of codes) {
      if (row[frame] >>> bits) throw new FormatError(`codes must lie in 0..${2 ** bits - 1}`);
      waiting = (waiting << bits) | row[frame];
      count += bits;
      while (count >= 8) {
        count -= 8;
        packet[at++] = waiting >>> count;
        waiting &= (1 << count) - 1;
      }
    }
  }
  if (count) packet[at] = waiting << (8 - count);
  return packet;
}

/**
 * Read a packet whose frames and codebooks are known.
 *
 * @param {Uint8Array} packet
 * @param {number} frames
 * @param {number} numCodebooks
 * @param {number} bits of one code
 * @returns {Codes}
 * @throws {FormatError} the length does not fit, or padding bits are set
 */
export function unpack(packet, frames, numCodebooks, bits) {
  const size = packetSize(frames, numCodebooks, bits);
  if (packet.length !== size) {
    throw new FormatError(
      `a packet of ${frames} frames and ${numCodebooks} codebooks has ${size} bytes, ` +
        `not ${packet.length}`,
    );
  }
  checkPadding(packet, frames * numCodebooks * bits);
  const codes = Array.from({ length: numCodebooks }, () => new Uint16Array(frames));
  let [waiting, count, at] = [0, 0, 0];
  for (let frame = 0; frame < frames; frame++) {
    for (const row of codes) {
      for (; count < bits; count += 8) waiting = (waiting << 8) | packet[at++];
      count -= bits;
      row[frame] = waiting >>> count;
      waiting &= (1 << count) - 1;
    }
  }
  return codes;
}

/**
 * @param {Uint8Array} packet
 * @param {number} used bits
 */
function checkPadding(packet, used) {
  const padding = 8 * packet.length - used;
  if (packet.length && packet[packet.length - 1] & ((1 << padding) - 1)) {
    throw new FormatError("padding bits at the end of the packet are set");
  }
}
