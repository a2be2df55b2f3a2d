/**
 * What one network packet carries: frames, and redundancy for earlier ones. See docs/rtp.md.
 *
 * Redundancy is a copy of an earlier packet, or of its leading codebooks alone: a coarser sound, for
 * few bytes.
 */

import { FormatError } from "../errors.js";

/** @typedef {import("../packet.js").PacketFormat} PacketFormat */

export const MAX_FRAMES = 150;
const MAX_COPIES = 3;
export const MAX_DISTANCE = 255; // packet times
export const MAX_PAYLOAD = 1200; // bytes with redundancy; leaves room in a datagram for RTP

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
 * @property {number[]} distances how many packet times later a copy is sent
 * @property {number} codebooks leading ones, that are copied
 */

/** @type {Redundancy} */
export const NO_REDUNDANCY = { distances: [], codebooks: 0 };

/**
 * Serialise a payload of good packets of up to 150 frames.
 *
 * @param {Payload} payload
 * @param {PacketFormat} format
 */
export function payloadBytes({ packet, redundant }, format) {
  const bytes = [format.frames, redundant.size, format.codebooksOf(packet), ...packet];
  for (const [distance, copy] of redundant) {
    bytes.push(distance, format.codebooksOf(copy), ...copy);
  }
  return Uint8Array.from(bytes);
}

/**
 * Parse what came from a network.
 *
 * @param {Uint8Array} data
 * @param {PacketFormat} format what the stream was agreed to be
 * @returns {Payload}
 * @throws {FormatError} damaged, hostile, or of another format
 */
export function parsePayload(data, format) {
  if (data.length < 3) throw new FormatError(`a payload of ${data.length} bytes`);
  const [frames, copies, codebooks] = data;
  if (frames !== format.frames || copies > MAX_COPIES) {
    throw new FormatError(`a payload of ${frames} frames and ${copies} copies`);
  }
  let at = 3 + format.size(codebooks);
  const packet = data.slice(3, at);
  const redundant = new Map();
  for (let copy = 0; copy < copies; copy++) {
    if (data.length < at + 2 || !data[at]) throw new FormatError("a copy without its header");
    const end = at + 2 + format.size(data[at + 1]);
    redundant.set(data[at], data.slice(at + 2, end));
    at = end;
  }
  if (data.length !== at || redundant.size !== copies) {
    throw new FormatError(`a payload of ${data.length} bytes where ${at} were announced`);
  }
  for (const piece of [packet, ...redundant.values()]) format.codebooksOf(piece);
  return { packet, redundant };
}

/** Makes a payload of each packet, with redundancy for earlier ones. */
export class Payloader {
  /** @param {PacketFormat} format of the packets, of up to 150 frames */
  constructor(format) {
    this.format = format;
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
    return payloadBytes({ packet, redundant }, this.format);
  }

  /** A packet time in which nothing was sent. */
  skip() {
    this._keep(null);
  }

  /** @param {Uint8Array | null} packet */
  _keep(packet) {
    this._sent.push(packet);
    if (this._sent.length > MAX_DISTANCE) this._sent.shift();
  }

  /** @param {Uint8Array} packet */
  _leading(packet) {
    const { codebooks } = this.redundancy;
    if (this.format.codebooksOf(packet) <= codebooks) return packet;
    return this.format.pack(this.format.unpack(packet).slice(0, codebooks));
  }
}
