/** Bitrate and redundancy in mid-call, from what the far end reports. */

import { NIBBLE, NO_REDUNDANCY } from "./payload.js";

const QUICK_REPORTS = 4; // averaged
const SLOW_REPORTS = 10;
const BURST_WEIGHT = 0.7; // what the mean of the quick ones counts: bursts scatter it
const CALM_REPORTS = 10; // in a row that must ask for less before less is sent
const GUARD_REPORTS = 30; // the same before the guard goes
const MAX_QUEUE_S = 0.15; // of round trip beyond the shortest that mean a full link
const REACH_PER_BURST = 1.5; // distance of a copy over the mean length of a burst
const MAX_REACH_S = 0.1; // between a packet and its first copy, at most
const USUAL_BURST_PACKETS = 3; // believed until there are reports
const FORGET_PER_REPORT = 0.95; // what earlier bursts count with each report
const BUDGET = 2; // all bits over those of the highest bitrate, at most

/** From this share of losses on: copies of each packet, and their codebooks over the packet's. */
const LADDER = [
  { loss: 0, coarseness: 0, copies: 0 },
  { loss: 0, coarseness: 1 / 8, copies: 1 }, // the guard: every call begins here
  { loss: 0.004, coarseness: 2 / 8, copies: 1 },
  { loss: 0.03, coarseness: 3 / 8, copies: 1 },
  { loss: 0.06, coarseness: 4 / 8, copies: 1 },
  { loss: 0.14, coarseness: 3 / 8, copies: 2 },
];
const GUARD = 1;

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
   * @param {number} period seconds of a packet
   */
  constructor(bitrates, bitrate, period) {
    this._rates = bitrates.filter((rate) => rate <= bitrate);
    this._farthest = Math.min(NIBBLE / 2, Math.max(1, Math.round(MAX_REACH_S / period)));
    /** @type {number[]} */
    this._losses = [];
    this._lost = USUAL_BURST_PACKETS; // of late; over the bursts it is their length
    this._bursts = 1;
    this._shortest = Infinity; // round trip, seconds
    this._rung = GUARD;
    this._step = this._rates.length - 1;
    this._calm = 0;
  }

  /** What to send now. @returns {Setting} */
  get setting() {
    const { coarseness, copies } = LADDER[this._rung];
    let step = this._step;
    if (!copies) return { bitrate: this._rates[step], redundancy: NO_REDUNDANCY };
    const codebooks = Math.min(NIBBLE, Math.max(1, Math.ceil(coarseness * (step + 1))));
    while (step > 0 && step + 1 + copies * codebooks > BUDGET * this._rates.length) step--;
    const wanted = Math.ceil((REACH_PER_BURST * this._lost) / this._bursts);
    const distance = Math.min(this._farthest, Math.max(wanted, 2));
    const distances = Array.from({ length: copies }, (_, n) => distance * (n + 1));
    return { bitrate: this._rates[step], redundancy: { distances, codebooks } };
  }

  /**
   * A report has come.
   *
   * @param {number} loss share lost since the last report, 0 to 1
   * @param {number | null} roundTrip seconds, if known
   * @param {number | null} [burst] mean number of packets lost in a row, if known
   * @returns {Setting}
   */
  update(loss, roundTrip, burst = null) {
    this._losses = [...this._losses, loss].slice(-SLOW_REPORTS);
    if (burst) {
      this._lost = FORGET_PER_REPORT * this._lost + burst;
      this._bursts = FORGET_PER_REPORT * this._bursts + 1;
    }
    if (roundTrip !== null) this._shortest = Math.min(roundTrip, this._shortest);
    const queue = roundTrip !== null && roundTrip > this._shortest + MAX_QUEUE_S;
    const wanted = this._wanted();
    const top = this._rates.length - 1;
    if (queue) {
      // More bits would only lengthen the queue, whatever is lost.
      this._rung = this._calm = 0;
      this._step = Math.max(0, this._step - 2);
    } else if (wanted > this._rung && this._step === top) {
      this._rung = wanted;
      this._calm = 0;
    } else if (wanted < this._rung || this._step < top) {
      this._comeDown();
    } else {
      this._calm = 0;
    }
    return this.setting;
  }

  /** The rung that the losses of late ask for. */
  _wanted() {
    const quick = BURST_WEIGHT * mean(this._losses.slice(-QUICK_REPORTS));
    const loss = Math.max(quick, mean(this._losses));
    return loss ? LADDER.findLastIndex((rung) => loss >= rung.loss) : 0;
  }

  /** A calm report: after enough of them, back to the whole bitrate, then fewer copies. */
  _comeDown() {
    this._calm++;
    if (this._step < this._rates.length - 1) {
      if (this._calm < CALM_REPORTS) return;
      this._step++;
    } else {
      if (this._calm < (this._rung === GUARD ? GUARD_REPORTS : CALM_REPORTS)) return;
      this._rung--;
    }
    this._calm = 0;
  }
}

/** @param {number[]} values */
function mean(values) {
  return values.reduce((sum, x) => sum + x, 0) / values.length;
}
