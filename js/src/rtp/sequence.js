/** What sequence numbers tell: losses, duplicates, jitter (RFC 3550, appendix A). */

import { unwrap } from "./packet.js";

const DUPLICATE_WINDOW_PACKETS = 1024; // below the highest, in which a duplicate is noticed
const MAX_DROPOUT_PACKETS = 3000; // that may be missing before the stream counts as another one
export const SEQUENCE_ROUND = 1 << 16; // added to the first number, so that all stay positive
const MAX_REORDER_PACKETS = 10; // by which one may be overtaken and not yet count as lost

const WINDOW = (1n << BigInt(DUPLICATE_WINDOW_PACKETS)) - 1n;

/** Follows one stream's sequence numbers. */
export class Sequence {
  /**
   * @param {number} [first] number of the stream's first packet, where both ends have agreed on it:
   *   what is lost before the first that comes is counted, too
   */
  constructor(first) {
    /** Packets, without duplicates. */
    this.received = 0;
    /** Smoothed difference of successive delays, seconds. */
    this.jitter = 0;
    /** Mean length of the runs of lost packets that the last `interval` has met; 0: none. */
    this.burst = 0;
    this._before = 0; // packets expected before the last restart
    this._told = 0; // packets that the sender says it has sent
    this._seen = 0n; // bit n: highest - n was received
    this._first = this._asked = 0; // `interval` has counted up to `_asked`
    /** Received, extended by its wraps, and raised by `SEQUENCE_ROUND`. */
    this.highest = 0;
    /** @type {number | null} */
    this._delay = null;
    this.restart();
    if (first !== undefined) this._begin(first + SEQUENCE_ROUND);
  }

  /** The stream begins anew, at any number; counts go on. */
  restart() {
    this._before = this.received ? this.expected : 0;
    this._begin(0);
    this._delay = null;
  }

  /** @param {number} first nothing has come of a stream that begins with it; 0: with any */
  _begin(first) {
    this._first = first;
    this.highest = this._asked = first - 1;
    this._seen = 0n;
  }

  /**
   * The sender says how many it has sent since the start.
   *
   * @param {number} packets
   */
  tell(packets) {
    this._told = Math.max(this._told, packets);
  }

  /** Packets sent up to the highest number that has come. */
  get expected() {
    return this._before + this.highest - this._first + 1;
  }

  /** Packets below the highest number that have not come; a late one is not missing. */
  get missing() {
    return this.expected - this.received;
  }

  /** Packets that have not come, those after the highest number too, if told of. */
  get lost() {
    return Math.max(this.expected, this._told) - this.received;
  }

  /**
   * Whether a number belongs to the stream as it was so far (RFC 3550, A.1).
   *
   * @param {number} sequence
   */
  plausible(sequence) {
    const step = unwrap(sequence, this.highest, 16) - this.highest;
    return this.highest < 0 || (-DUPLICATE_WINDOW_PACKETS < step && step < MAX_DROPOUT_PACKETS);
  }

  /**
   * A packet has come.
   *
   * @param {number} sequence modulo 2 ** 16
   * @param {number} delay arrival minus media time, seconds
   * @returns {boolean} false for a duplicate, or one too old to tell
   */
  receive(sequence, delay) {
    if (this.highest < 0) this._begin(sequence + SEQUENCE_ROUND);
    const number = unwrap(sequence, this.highest, 16);
    const behind = this.highest - number;
    if (behind < 0) {
      this._seen = ((this._seen << BigInt(-behind)) | 1n) & WINDOW;
      this.highest = number;
    } else if (behind >= DUPLICATE_WINDOW_PACKETS || (this._seen >> BigInt(behind)) & 1n) {
      return false;
    } else {
      this._seen |= 1n << BigInt(behind);
      this._first = Math.min(this._first, number);
    }
    if (this._delay !== null) {
      this.jitter += (Math.abs(delay - this._delay) - this.jitter) / 16;
    }
    this._delay = delay;
    this.received++;
    return true;
  }

  /**
   * Share of packets lost since this was last asked, 0 to 1.
   *
   * The newest are left for the next time: they may have been overtaken.
   */
  interval() {
    const settled = this.highest - MAX_REORDER_PACKETS;
    const most = DUPLICATE_WINDOW_PACKETS - MAX_REORDER_PACKETS;
    const fresh = Math.min(settled - this._asked, most);
    this.burst = 0;
    if (fresh <= 0) return 0;
    this._asked = settled;
    const lost = ~(this._seen >> BigInt(MAX_REORDER_PACKETS)) & ((1n << BigInt(fresh)) - 1n);
    const runs = bitCount(lost & ~(lost >> 1n)); // each has one oldest packet
    this.burst = bitCount(lost) / Math.max(runs, 1);
    return bitCount(lost) / fresh;
  }
}

/** @param {bigint} bits not negative */
function bitCount(bits) {
  let count = 0;
  for (; bits; bits >>= 1n) count += Number(bits & 1n);
  return count;
}
