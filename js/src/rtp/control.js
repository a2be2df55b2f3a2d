/** Bitrate and redundancy in mid-call, from what the far end reports. */

import { NO_REDUNDANCY } from "./payload.js";

const CALM_REPORTS = 10; // in a row that must ask for less before less is sent
const QUICK_REPORTS = 4; // averaged
const SLOW_REPORTS = 10;
const BURST_WEIGHT = 0.7; // what the mean of the quick ones counts: bursts scatter it
const FIRST_RUNG = 2; // of the ladder to begin with, while nothing is known
const MAX_QUEUE_S = 0.15; // of round trip beyond the shortest that mean a full link

/**
 * What a sender may change between packets.
 *
 * @typedef {object} Setting
 * @property {number} bitrate kbps, one of the model's
 * @property {import("./payload.js").Redundancy} redundancy the copies that ride along
 */

/**
 * Losses alone: more copies. Losses or queues because the link is full: fewer bits.
 *
 * It goes up at the first bad report and comes down one step at a time after calm ones, so that it
 * does not swing.
 */
export class Controller {
  /**
   * @param {number[]} bitrates kbps that the model offers, ascending
   * @param {number} bitrate the highest to use; copies add to it
   */
  constructor(bitrates, bitrate) {
    const all = bitrates.length;
    this._rates = bitrates.filter((rate) => rate <= bitrate);
    /**
     * From this share of losses on: these copies. A burst of losses lasts some packets, so copies
     * keep a distance from their original and from each other.
     *
     * @type {[number, import("./payload.js").Redundancy][]}
     */
    this._ladder = [
      [0, NO_REDUNDANCY],
      [0.004, { distances: [3], codebooks: Math.ceil(all / 2) }],
      [0.02, { distances: [5], codebooks: all }],
      [0.05, { distances: [4, 8], codebooks: all }],
      [0.16, { distances: [3, 6, 9], codebooks: all }],
    ];
    /** @type {number[]} */
    this._losses = [];
    this._shortest = Infinity; // round trip, seconds
    this._rung = FIRST_RUNG;
    this._step = this._rates.length - 1;
    this._calm = 0;
  }

  /** What to send now. @returns {Setting} */
  get setting() {
    return { bitrate: this._rates[this._step], redundancy: this._ladder[this._rung][1] };
  }

  /**
   * A report has come.
   *
   * @param {number} loss share lost since the last report, 0 to 1
   * @param {number | null} roundTrip seconds, if known
   * @returns {Setting}
   */
  update(loss, roundTrip) {
    this._losses = [...this._losses, loss].slice(-SLOW_REPORTS);
    if (roundTrip !== null) this._shortest = Math.min(roundTrip, this._shortest);
    const queue = roundTrip !== null && roundTrip > this._shortest + MAX_QUEUE_S;
    const quick = BURST_WEIGHT * mean(this._losses.slice(-QUICK_REPORTS));
    const wanted = this._rungFor(Math.max(quick, mean(this._losses)));
    const top = this._rates.length - 1;
    if (queue) {
      // More bits would only lengthen the queue, whatever is lost.
      this._rung = this._calm = 0;
      this._step = Math.max(0, this._step - 2);
    } else if (wanted > this._rung && this._step === top) {
      this._rung = wanted;
      this._calm = 0;
    } else if (wanted < this._rung || this._step < top) {
      this._calm++;
      if (this._calm >= CALM_REPORTS) {
        this._calm = 0;
        if (this._step < top) this._step++;
        else this._rung--;
      }
    } else {
      this._calm = 0;
    }
    return this.setting;
  }

  /** @param {number} loss */
  _rungFor(loss) {
    return this._ladder.findLastIndex(([least]) => loss >= least);
  }
}

/** @param {number[]} values */
function mean(values) {
  return values.reduce((sum, x) => sum + x, 0) / values.length;
}
