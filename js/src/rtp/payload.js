/**
 * What one network packet carries: frames, and redundancy for earlier ones. See docs/rtp.md.
 *
 * Redundancy is a coarse copy of an earlier packet: its leading codebooks alone. There are two forms:
 * the compact one has a header of one byte, and one more for each copy; the older one has three, and
 * two more, and is what ends understand that greet with `ADc2` alone.
 */

import { FormatError } from "../errors.js";
import { COMPACT, SPEECH } from "./packet.js";

/** @typedef {import("../packet.js").PacketFormat} PacketFormat */

export const MAX_FRAMES = 150;
const MAX_REDUNDANT = 3;
export const MAX_PAYLOAD = 1200; // bytes with redundancy; leaves room in a datagram for RTP
export const NIBBLE = 16; // values of half a byte: distances and codebooks of a compact copy

/**
 * How a payload is written: `SPEECH` for the older form, or `COMPACT`, its RTP payload type.
 *
 * @typedef {SPEECH | COMPACT} Form
 */

/**
 * A packet and redundant copies of earlier ones.
 *
 * @typedef {object} Payload
 * @property {Uint8Array} packet
 * @property {Map<number, Uint8Array>} redundant distance in packet times -> leading codebooks
 */

/**
 * Which copies ride along.
 *
 * @typedef {object} Redundancy
 * @property {number[]} distances how many packet times later a copy is sent, 1 to 16
 * @property {number} codebooks leading ones, that are copied, 1 to 16
 */

/** @type {Redundancy} */
export const NO_REDUNDANCY = { distances: [], codebooks: 0 };

/**
 * Serialise a payload of good packets of up to 150 frames, whose copies fit the form.
 *
 * @param {Payload} payload
 * @param {PacketFormat} format
 * @param {Form} form
 */
export function payloadBytes({ packet, redundant }, format, form) {
  const codebooks = format.codebooksOf(packet);
  const compact = form === COMPACT;
  const head = compact ? [codebooks] : [format.frames, redundant.size, codebooks];
  const bytes = [...head, ...packet];
  for (const [distance, copy] of redundant) {
    const own = format.codebooksOf(copy);
    bytes.push(...(compact ? [(distance - 1) * NIBBLE + own - 1] : [distance, own]), ...copy);
  }
  return Uint8Array.from(bytes);
}

/**
 * Parse what came from a network.
 *
 * @param {Uint8Array} data
 * @param {PacketFormat} format what the stream was agreed to be
 * @param {Form} form
 * @returns {Payload}
 * @throws {FormatError} damaged, hostile, or of another format
 */
export function parsePayload(data, format, form) {
  const reader = new Reader(data);
  let announced = Infinity;
  if (form === SPEECH) {
    const [frames, copies] = reader.take(2);
    if (frames !== format.frames || copies > MAX_REDUNDANT) {
      throw new FormatError(`a payload of ${frames} frames and ${copies} copies`);
    }
    announced = copies;
  }
  const packet = reader.take(format.size(reader.take(1)[0]));
  const redundant = new Map();
  while (form === SPEECH ? redundant.size < announced : reader.left) {
    const [first, second] = reader.take(form === SPEECH ? 2 : 1);
    const [distance, codebooks] =
      form === SPEECH ? [first, second] : [(first >> 4) + 1, (first & 0x0f) + 1];
    if (redundant.has(distance) || !distance || redundant.size === MAX_REDUNDANT) {
      throw new FormatError(
        `a copy from ${distance} packet times ago, after ${redundant.size} others`,
      );
    }
    redundant.set(distance, reader.take(format.size(codebooks)));
  }
  if (reader.left) throw new FormatError(`${reader.left} bytes after a payload`);
  for (const piece of [packet, ...redundant.values()]) format.codebooksOf(piece);
  return { packet, redundant };
}

/** Bytes from front to back. */
class Reader {
  /** @param {Uint8Array} data */
  constructor(data) {
    this._data = data;
    this._at = 0;
  }

  get left() {
    return this._data.length - this._at;
  }

  /**
   * The next bytes.
   *
   * @param {number} count
   * @throws {FormatError} there are fewer
   */
  take(count) {
    if (count > this.left) {
      throw new FormatError(`a payload of ${this._data.length} bytes ends too early`);
    }
    this._at += count;
    return this._data.slice(this._at - count, this._at);
  }
}

/** Makes a payload of each packet, with redundancy for earlier ones. */
export class Payloader {
  /** @param {PacketFormat} format of the packets, of up to 150 frames */
  constructor(format) {
    this.format = format;
    /** How payloads are written: as the other end understands. @type {Form} */
    this.form = COMPACT;
    /** Which copies ride along; may be changed at any time. */
    this.redundancy = NO_REDUNDANCY;
    /** The newest last; null where nothing was sent. @type {(Uint8Array | null)[]} */
    this._sent = [];
  }

  /**
   * The payload for the newest packet.
   *
   * @param {Uint8Array} packet
   */
  add(packet) {
    const redundant = new Map();
    let size = 3 + packet.length;
    for (const distance of this.redundancy.distances) {
      const earlier = this._sent.at(-distance);
      if (!earlier || distance > this._sent.length) continue;
      const copy = this._leading(earlier);
      size += 2 + copy.length;
      if (size <= MAX_PAYLOAD) redundant.set(distance, copy);
    }
    this._keep(packet);
    return payloadBytes({ packet, redundant }, this.format, this.form);
  }

  /** A packet time in which nothing was sent. */
  skip() {
    this._keep(null);
  }

  /** @param {Uint8Array | null} packet */
  _keep(packet) {
    this._sent.push(packet);
    if (this._sent.length > NIBBLE) this._sent.shift();
  }

  /** @param {Uint8Array} packet */
  _leading(packet) {
    const { codebooks } = this.redundancy;
    if (this.format.codebooksOf(packet) <= codebooks) return packet;
    return this.format.pack(this.format.unpack(packet).slice(0, codebooks));
  }
}
