/**
 * Reports between the two ends: RTCP sender reports and goodbye (RFC 3550, sections 6.4, 6.6).
 *
 * A packet is a report with one block, or with none as long as nothing was heard; at the end of the
 * stream a goodbye follows in the same packet, so that the last count arrives with it. To ends that
 * understand it, a block is followed by the mean length of the bursts of losses. Nothing else.
 */

import { viewOf } from "../container.js";
import { FormatError } from "../errors.js";
import { modulo } from "./packet.js";

const [HEAD_SIZE, BLOCK_SIZE, BURST_SIZE, BYE_SIZE] = [28, 24, 4, 8];
const [SENDER_REPORT, GOODBYE] = [200, 203];
const HUNG_UP = new TextEncoder().encode("\x07hung up"); // a reason, length first
const MOST = 0xffffffff;

/**
 * What one end tells the other about both directions.
 *
 * @typedef {object} Report
 * @property {number} ssrc of who reports
 * @property {number} time seconds, by the reporter's clock
 * @property {number} timestamp of its own stream so far, modulo 2 ** 32, as the next two
 * @property {number} packets
 * @property {number} octets
 * @property {number} heard SSRC of the stream that the fields up to `held` are about; 0: nothing was
 *   heard yet
 * @property {number} loss share of packets lost since the last report, in steps of 1/256
 * @property {number} lost packets lost since the start
 * @property {number} highest sequence number received, extended by its wraps
 * @property {number} jitter seconds (RFC 3550, A.8); on the wire in samples
 * @property {number} last middle 32 bits of the time in the report last received; 0: none yet
 * @property {number} held seconds since that report came
 * @property {number | null} burst mean number of packets lost in a row since the last report, in
 *   steps of 1/256; 0: none was lost; null: not said. Said with a block only
 * @property {boolean} ended its stream ends here; it may still listen
 * @property {boolean} hungUp it neither speaks nor listens any more
 */

export const NOTHING_HEARD = {
  heard: 0, loss: 0, lost: 0, highest: 0, jitter: 0, last: 0, held: 0, burst: null,
};

/**
 * @param {Report} report
 * @param {number} rate the stream's sample rate, the unit of jitter, Hz
 */
export function reportBytes(report, rate) {
  const burst = report.heard ? report.burst : null;
  const block = (report.heard ? BLOCK_SIZE : 0) + (burst === null ? 0 : BURST_SIZE);
  const size = HEAD_SIZE + block;
  const bye = goodbye(report);
  const bytes = new Uint8Array(size + bye.length);
  const view = viewOf(bytes);
  view.setUint8(0, 0x80 | (report.heard ? 1 : 0));
  view.setUint8(1, SENDER_REPORT);
  view.setUint16(2, size / 4 - 1);
  view.setUint32(4, report.ssrc);
  view.setBigUint64(8, ntp(report.time));
  view.setUint32(16, report.timestamp % 2 ** 32);
  view.setUint32(20, report.packets % 2 ** 32);
  view.setUint32(24, report.octets % 2 ** 32);
  if (report.heard) {
    const limit = 1 << 23;
    view.setUint32(28, report.heard);
    view.setUint32(32, Math.min(limit - 1, Math.max(-limit, report.lost)) & 0xffffff);
    view.setUint8(32, Math.min(255, Math.max(0, Math.trunc(report.loss * 256))));
    view.setUint32(36, report.highest % 2 ** 32);
    view.setUint32(40, Math.min(MOST, Math.round(report.jitter * rate)));
    view.setUint32(44, report.last);
    view.setUint32(48, Math.min(MOST, Math.round(report.held * 65536)));
    if (burst !== null) view.setUint32(52, Math.min(MOST, Math.round(burst * 256)));
  }
  bytes.set(bye, size);
  return bytes;
}

/**
 * Parse what came from a network.
 *
 * @param {Uint8Array} data
 * @param {number} rate Hz
 * @returns {Report}
 * @throws {FormatError} it is no such report
 */
export function parseReport(data, rate) {
  if (data.length < HEAD_SIZE) throw new FormatError(`a report of ${data.length} bytes`);
  const view = viewOf(data);
  const blocks = data[0] & 0x1f;
  const size = 4 * (view.getUint16(2) + 1);
  const plain = HEAD_SIZE + blocks * BLOCK_SIZE;
  if (
    (data[0] & 0xe0) !== 0x80 ||
    data[1] !== SENDER_REPORT ||
    blocks > 1 ||
    (size !== plain && size !== plain + blocks * BURST_SIZE) ||
    data.length < size
  ) {
    throw new FormatError("not a sender report with one block or none");
  }
  const ssrc = view.getUint32(4);
  const block = blocks
    ? {
        heard: view.getUint32(28),
        loss: data[32] / 256,
        lost: (view.getInt32(32) << 8) >> 8,
        highest: view.getUint32(36),
        jitter: view.getUint32(40) / rate,
        last: view.getUint32(44),
        held: view.getUint32(48) / 65536,
        burst: size > plain ? view.getUint32(52) / 256 : null,
      }
    : NOTHING_HEARD;
  return {
    ssrc,
    time: Number(view.getBigUint64(8)) / 2 ** 32,
    timestamp: view.getUint32(16),
    packets: view.getUint32(20),
    octets: view.getUint32(24),
    ...block,
    ...parseGoodbye(data.subarray(size), ssrc),
  };
}

/**
 * Seconds to the reporter and back, at the report's arrival; null before it has heard from us.
 *
 * @param {Report} report
 * @param {number} now
 */
export function roundTrip({ last, held }, now) {
  if (!last) return null;
  const ticks = modulo(middle(now) - last - Math.round(held * 65536), 2 ** 32);
  // The clocks tick 65536 times a second: rounding may make a very short way negative.
  return ticks < 2 ** 31 ? ticks / 65536 : 0;
}

/**
 * The middle 32 bits of a time, never 0, which would mean none.
 *
 * @param {number} time
 */
export function middle(time) {
  return Number((ntp(time) >> 16n) & 0xffffffffn) || 1;
}

/** @param {{ssrc: number, ended: boolean, hungUp: boolean}} report */
function goodbye({ ssrc, ended, hungUp }) {
  if (!ended && !hungUp) return new Uint8Array();
  const reason = hungUp ? HUNG_UP : new Uint8Array();
  const bytes = new Uint8Array(BYE_SIZE + reason.length);
  const view = viewOf(bytes);
  bytes.set([0x81, GOODBYE]);
  view.setUint16(2, bytes.length / 4 - 1);
  view.setUint32(4, ssrc);
  bytes.set(reason, BYE_SIZE);
  return bytes;
}

/**
 * @param {Uint8Array} data
 * @param {number} ssrc
 */
function parseGoodbye(data, ssrc) {
  if (!data.length) return { ended: false, hungUp: false };
  for (const hungUp of [false, true]) {
    const expected = goodbye({ ssrc, ended: true, hungUp });
    if (data.length === expected.length && expected.every((byte, i) => byte === data[i])) {
      return { ended: true, hungUp };
    }
  }
  throw new FormatError("after a report may come its sender's goodbye, nothing else");
}

/** @param {number} time seconds */
function ntp(time) {
  return BigInt.asUintN(64, BigInt(Math.trunc(time * 2 ** 32)));
}
