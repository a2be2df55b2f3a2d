/** The worker's end of the AudioWorklets: captured samples in, sound to be played out. */

import { Ring } from "./worklets.js";

/** @typedef {import("./worklets.js").Link} Link */

const WINDOW_S = 3; // in which some tick of a loudspeaker comes without delay

/** Seconds, by a clock that page and worker have in common. */
export function clock() {
  return (performance.timeOrigin + performance.now()) / 1000;
}

/**
 * Hand over what a microphone captures, as it comes.
 *
 * @param {Link} link
 * @param {(samples: Float32Array, lost: number) => void} listener is also told how many samples
 *   were lost after these, as this thread was too slow
 */
export function onCaptured({ port, buffer }, listener) {
  const ring = new Ring(buffer);
  port.onmessage = ({ data }) => {
    if (data instanceof Float32Array) {
      listener(data, 0);
      return;
    }
    const samples = new Float32Array(ring.length);
    ring.read(samples);
    listener(samples, data);
  };
}

/**
 * When ticks of a loudspeaker were, though their messages may have waited: the quickest of the last
 * seconds tells how the clocks lie to each other.
 */
class Ticks {
  constructor() {
    this._before = this._now = Infinity; // least seconds between a tick and its message, by window
    this._end = 0; // of the window
  }

  /**
   * @param {number} time of the tick, in seconds of its context
   * @returns {number} by `clock`
   */
  at(time) {
    if (time >= this._end) {
      this._before = this._now;
      this._now = Infinity;
      this._end = time + WINDOW_S;
    }
    this._now = Math.min(this._now, clock() - time);
    return time + Math.min(this._before, this._now);
  }
}

/**
 * Keep a loudspeaker supplied, by its own clock: a tick of it is answered with a batch of sound. Where
 * this thread was too slow and the loudspeaker had to wait, as much is left out, or the delay would
 * grow.
 *
 * @param {Link} link
 * @param {number} batch samples of a pull
 * @param {number} lead samples of silence ahead of the first sound: the time there is to make more
 * @param {(now: number) => Promise<Float32Array>} pull asked for the batch of a tick, at this time by
 *   `clock`
 * @param {(count: number) => void} skip told of so many ticks that are left out
 */
export function supply({ port, buffer }, batch, lead, pull, skip) {
  const shared = !(buffer instanceof ArrayBuffer);
  const ring = new Ring(buffer);
  const ticks = new Ticks();
  /** Times of ticks to be answered. @type {number[]} */
  let waiting = [];
  let ahead = 0; // samples sent and not yet played
  let answering = false;

  const send = (/** @type {Float32Array} */ samples) => {
    ahead += samples.length;
    if (shared) ring.write(samples);
    else port.postMessage(samples, [samples.buffer]);
  };

  const answer = async () => {
    answering = true;
    while (waiting.length) {
      await nextTask(); // other ticks may have come meanwhile
      const wanted = Math.min(Math.max(Math.round((lead - ahead) / batch), 0), waiting.length);
      const late = waiting.length - wanted;
      if (late) skip(late);
      const due = waiting.slice(late);
      waiting = [];
      for (const now of due) send(await pull(now));
    }
    answering = false;
  };

  send(new Float32Array(lead));
  port.onmessage = ({ data: { time, missing } }) => {
    waiting.push(ticks.at(time));
    ahead += missing - batch;
    if (!answering) answer();
  };
}

/** Lets the messages that have come be handled first. @returns {Promise<void>} */
function nextTask() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => resolve();
    port2.postMessage(null);
  });
}
