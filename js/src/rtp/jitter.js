/**
 * An adaptive jitter buffer driven by the playback clock: pulled once per packet time, it answers
 * with a packet or with what to do instead, and never waits.
 *
 * A packet's delay is its arrival time minus its media time (timestamp / sample rate). The clocks of
 * both ends are unrelated, so only differences of delays mean anything. A packet should be played at
 * a delay that nearly all packets meet: a high quantile of the last seconds' delays. Playing a
 * packet time twice adds one to the delay, skipping one takes one away; both are put where they are
 * heard least. Because this compares clocks all the time, it also takes up their drift.
 *
 * These rules are those of src/audiodec/rtp/jitter.py: the same arrivals give the same answers.
 */

const WINDOW_ARRIVALS = 500; // whose delays are remembered: 10 s of 20 ms
const QUANTILE = 0.99; // of packets that should be in time
const COPY_QUANTILE = 0.9; // of copies that should be: they replace few packets, and delay all
const START_S = 0.06; // seconds of buffering until delays are known
const KNOWN_AFTER_ARRIVALS = 100; // after which they are
const MAX_JITTER_S = 0.4; // seconds at most that the jitter, and that copies, may add
export const CAPACITY_PACKETS = 512; // packet times held, and believed, to both sides of playback
const REGIME_PACKETS = 10; // late ones in a row after which older delays say nothing any more
const LONG_WAIT_PULLS = 50; // after which a change no longer waits for a quiet moment

/** Minimum and quantile of the newest delays. */
class Delays {
  constructor() {
    /** @type {number[]} */
    this._newest = [];
    /** @type {number[]} */
    this._sorted = [];
  }

  get length() {
    return this._newest.length;
  }

  /** @param {number} delay */
  add(delay) {
    if (this._newest.length === WINDOW_ARRIVALS) {
      const oldest = /** @type {number} */ (this._newest.shift());
      this._sorted.splice(this._place(oldest), 1);
    }
    this._newest.push(delay);
    this._sorted.splice(this._place(delay), 0, delay);
  }

  /**
   * Where the first delay stands that is not below this one.
   *
   * @param {number} delay
   */
  _place(delay) {
    let [low, high] = [0, this._sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this._sorted[middle] < delay) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * Forget all but the newest.
   *
   * @param {number} newest
   */
  keep(newest) {
    this._newest = this._newest.slice(-newest);
    this._sorted = [...this._newest].sort((a, b) => a - b);
  }

  get lowest() {
    return this._sorted[0];
  }

  /**
   * The delay that this share of packets meets.
   *
   * @param {number} share
   */
  quantile(share) {
    return this._sorted[Math.floor(share * (this._sorted.length - 1))];
  }
}

/**
 * What is known about one packet time.
 *
 * @typedef {object} Entry
 * @property {Uint8Array} data a packet, or one byte that describes comfort noise
 * @property {boolean} noise which of the two
 * @property {number} rank bytes of a copy, more is better; above all copies for an original
 */

/**
 * What a pull is answered with: `wait`, nothing has come yet; `play` the entry; `miss`, nothing is
 * there: conceal, or go on with comfort noise; `stretch`, fill one packet time, the entry due comes
 * next time; `merge`, play two entries in the time of one.
 *
 * @typedef {"wait" | "play" | "miss" | "stretch" | "merge"} Action
 */

/** @typedef {{action: Action, entries: Entry[]}} Answer one entry to play, two to merge, else none */

/** Entries by packet time. */
export class JitterBuffer {
  /** @param {number} period seconds of one packet time */
  constructor(period) {
    this.period = period;
    /** Packet times by which the longest copy in use comes later. */
    this.reach = 0;
    /** The packet time played next. */
    this.next = 0;
    /**
     * Seconds for which what was pulled last would have waited, had it come as fast as the fastest
     * packet of late.
     */
    this.depth = 0;
    /** @type {Map<number, Entry>} */
    this._entries = new Map();
    this._delays = new Delays();
    /** Arrival of the first entry, until playback starts. @type {number | null} */
    this._first = null;
    this._started = false;
    this._late = this._patience = 0;
  }

  /** Entries held. */
  get length() {
    return this._entries.size;
  }

  /**
   * Something sent at packet time `index` has come. The caller makes sure that it is nearer than
   * CAPACITY_PACKETS to `next` once playback has started.
   *
   * @param {number} index
   * @param {Entry} entry
   * @param {number} now seconds
   * @returns {boolean} false when it is too late
   */
  arrive(index, entry, now) {
    this._delays.add(now - index * this.period);
    if (this._first === null) {
      this._first = now;
      this.next = index;
    }
    if (!this._started) this.next = Math.min(this.next, index);
    const inTime = this.offer(index, entry);
    this._late = inTime ? 0 : this._late + 1;
    if (this._late >= REGIME_PACKETS) this._delays.keep(REGIME_PACKETS);
    return inTime;
  }

  /**
   * Keep an entry if it is in time and better than what is there.
   *
   * @param {number} index
   * @param {Entry} entry
   */
  offer(index, entry) {
    if (index < this.next || index >= this.next + CAPACITY_PACKETS) return false;
    const held = this._entries.get(index);
    if (!held || held.rank < entry.rank) this._entries.set(index, entry);
    return true;
  }

  /** The delay at which packets should be played, seconds. */
  get target() {
    const delays = this._delays;
    const { lowest } = delays;
    let jitter = Math.min(delays.quantile(QUANTILE) - lowest, MAX_JITTER_S);
    const ofCopies = Math.min(delays.quantile(COPY_QUANTILE) - lowest, MAX_JITTER_S);
    if (delays.length < KNOWN_AFTER_ARRIVALS) jitter = Math.max(jitter, START_S);
    const reach = Math.min(this.reach * this.period, MAX_JITTER_S);
    return lowest + Math.max(jitter, reach + ofCopies);
  }

  /**
   * What to play in this packet time.
   *
   * @param {number} now seconds
   * @param {boolean} quiet whether what was played last was so quiet that a change is hardly heard
   * @returns {Answer}
   */
  pull(now, quiet) {
    if (!this._started) {
      if (this._first === null || now < this._first + START_S) return { action: "wait", entries: [] };
      this._started = true;
    }
    const answer = this._decide(now, quiet);
    this.depth = now - (this.next - 1) * this.period - this._delays.lowest;
    return answer;
  }

  /**
   * @param {number} now
   * @param {boolean} quiet
   * @returns {Answer}
   */
  _decide(now, quiet) {
    let surplus = now - this.next * this.period - this.target;
    if (Math.abs(surplus) > (CAPACITY_PACKETS / 2) * this.period) {
      // So far off that playback has broken off anyway: go where it should be.
      this._skipTo(Math.trunc((now - this.target) / this.period));
      surplus = 0;
    }
    const present = this._entries.has(this.next);
    if (-0.1 * this.period <= surplus && surplus <= 1.6 * this.period) {
      this._patience = 0;
      return this._play();
    }
    this._patience++;
    if (present && !quiet && this._patience < LONG_WAIT_PULLS) return this._play();
    if (surplus < 0) {
      this._patience = 0;
      return { action: "stretch", entries: [] };
    }
    if (!present) {
      this._skipTo(this.next + 1); // the cheapest packet time to leave out
      return this._play();
    }
    if (!this._entries.has(this.next + 1)) return this._play();
    this._patience = 0;
    const entries = [this._take(this.next), this._take(this.next + 1)];
    this.next += 2;
    return { action: "merge", entries };
  }

  /**
   * What is there of the next packet times.
   *
   * @param {number} count
   */
  ahead(count) {
    return Array.from({ length: count }, (_, i) => this._entries.get(this.next + i) ?? null);
  }

  /**
   * So many packet times pass without a pull.
   *
   * @param {number} count
   */
  skip(count) {
    if (this._started) this._skipTo(this.next + count);
  }

  /** @returns {Answer} */
  _play() {
    const present = this._entries.has(this.next);
    const entries = present ? [this._take(this.next)] : [];
    this.next++;
    return { action: present ? "play" : "miss", entries };
  }

  /** @param {number} index of an entry that is there */
  _take(index) {
    const entry = /** @type {Entry} */ (this._entries.get(index));
    this._entries.delete(index);
    return entry;
  }

  /** @param {number} index */
  _skipTo(index) {
    this.next = index;
    for (const held of this._entries.keys()) {
      if (held < index || held >= index + CAPACITY_PACKETS) this._entries.delete(held);
    }
  }
}
