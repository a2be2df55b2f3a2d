/** RTP packets (RFC 3550, section 5.1), strictly parsed. */

import { viewOf } from "../container.js";
import { FormatError } from "../errors.js";

export const MAX_DATAGRAM = 1400; // bytes; below every usual MTU, so that nothing is fragmented
export const SPEECH = 97; // payload types, of the dynamic range
export const COMFORT_NOISE = 98;
export const COMPACT = 99;
const HEADER_SIZE = 12;

/**
 * @typedef {object} RtpPacket
 * @property {number} payloadType 0 to 127
 * @property {number} sequence of packets sent, modulo 2 ** 16
 * @property {number} timestamp of its first sample, at the model's rate, modulo 2 ** 32
 * @property {number} ssrc the stream's name, 32 bits
 * @property {Uint8Array} payload
 * @property {boolean} marker the first packet after a silence
 */

/**
 * Serialise; sequence and timestamp wrap around.
 *
 * @param {RtpPacket} packet
 */
export function packetBytes(packet) {
  const bytes = new Uint8Array(HEADER_SIZE + packet.payload.length);
  const view = viewOf(bytes);
  view.setUint8(0, 0x80);
  view.setUint8(1, (packet.marker ? 0x80 : 0) | packet.payloadType);
  view.setUint16(2, packet.sequence);
  view.setUint32(4, packet.timestamp % 2 ** 32);
  view.setUint32(8, packet.ssrc);
  bytes.set(packet.payload, HEADER_SIZE);
  return bytes;
}

/**
 * Parse what came from a network; contributing sources, extension and padding are skipped.
 *
 * @param {Uint8Array} data
 * @returns {RtpPacket}
 * @throws {FormatError} not RTP, or its lengths do not add up
 */
export function parsePacket(data) {
  if (data.length < HEADER_SIZE || data.length > MAX_DATAGRAM) {
    throw new FormatError(`a datagram of ${data.length} bytes is no RTP packet`);
  }
  const view = viewOf(data);
  const [first, second] = data;
  if (first >> 6 !== 2) throw new FormatError("not RTP version 2");
  let start = HEADER_SIZE + 4 * (first & 0x0f);
  let end = data.length;
  if (first & 0x10) {
    if (start + 4 > end) throw new FormatError("a truncated RTP extension");
    start += 4 + 4 * view.getUint16(start + 2);
  }
  if (first & 0x20) {
    const padding = data[data.length - 1];
    if (!padding) throw new FormatError("RTP padding of no bytes");
    end -= padding;
  }
  if (start > end) throw new FormatError("an RTP packet shorter than its header says");
  return {
    payloadType: second & 0x7f,
    sequence: view.getUint16(2),
    timestamp: view.getUint32(4),
    ssrc: view.getUint32(8),
    payload: data.slice(start, end),
    marker: (second & 0x80) !== 0,
  };
}

/**
 * Whether a datagram is RTCP rather than RTP (RFC 5761, section 4).
 *
 * @param {Uint8Array} data
 */
export function isRtcp(data) {
  return data.length > 1 && data[0] >> 6 === 2 && data[1] >= 192 && data[1] <= 223;
}

/**
 * The integer closest to `near` that equals `value` modulo 2 ** bits.
 *
 * @param {number} value
 * @param {number} near
 * @param {number} bits
 */
export function unwrap(value, near, bits) {
  const round = 2 ** bits;
  return near + modulo(value - near + round / 2, round) - round / 2;
}

/**
 * @param {number} value
 * @param {number} divisor
 * @returns {number} 0 up to below the divisor
 */
export function modulo(value, divisor) {
  return value - Math.floor(value / divisor) * divisor;
}
