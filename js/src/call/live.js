/** A call in the worker: an endpoint between microphone, loudspeaker and datagrams. */

import { clock, onCaptured, supply } from "../live.js";
import { Queue } from "../queue.js";
import { Endpoint } from "./endpoint.js";

/** @typedef {import("../worklets.js").Link} Link */

const MAX_BACKLOG_PACKETS = 5; // captured and not yet coded; more are left out
const LEAD_PACKETS = 1.5; // of sound ahead of the loudspeaker
const GOODBYES = 3; // sent when hanging up, since they may be lost

/**
 * How far a call is.
 *
 * @typedef {object} CallState
 * @property {boolean} connected each end hears the other, and knows that it is heard
 * @property {boolean} left the other end's stream has ended, or it is gone
 * @property {boolean} hungUp it has hung up
 * @property {boolean} gone it is gone without a word
 */

/**
 * What a call says by itself.
 *
 * @typedef {{datagrams: Uint8Array[]} | {state: CallState} |
 *   {error: {name: string, message: string}}} Said
 */

export class LiveCall {
  /**
   * @param {import("../codec.js").Codec} codec
   * @param {import("./endpoint.js").CallOptions} options
   * @param {Link} microphone
   * @param {Link} loudspeaker
   * @param {(said: Said) => void} say
   */
  constructor(codec, options, microphone, loudspeaker, say) {
    this._endpoint = new Endpoint(codec, options);
    this._queue = new Queue();
    this._say = say;
    this._state = "";
    this._backlog = 0; // samples captured and not yet coded
    this._lost = 0; // samples that were not captured, of less than a packet
    const { size, period } = this._endpoint;
    onCaptured(microphone, (samples, lost) => this._spoken(samples, lost));
    supply(
      loudspeaker,
      size,
      Math.round(LEAD_PACKETS * size),
      async (now) => (await this._do((endpoint) => endpoint.pull(now))) ?? new Float32Array(size),
      (count) => void this._do(async (endpoint) => endpoint.skipHeard(count)),
    );
    this._timer = setInterval(() => this._poll(), 1000 * period);
  }

  /**
   * A datagram has come.
   *
   * @param {Uint8Array} datagram
   * @param {number} now when, by `clock`
   */
  receive(datagram, now) {
    return this._do((endpoint) => endpoint.receive(datagram, now));
  }

  summary() {
    return this._do(async (endpoint) => endpoint.summary(clock()));
  }

  /** The own stream ends; what the other end says is still heard. */
  end() {
    return this._do(async (endpoint) => endpoint.end());
  }

  /** The call is over, and the other end is told. */
  hangUp() {
    clearInterval(this._timer);
    return this._do(async (endpoint) => {
      endpoint.end();
      const goodbye = endpoint.hangUp(clock());
      for (let i = 0; i < GOODBYES; i++) this._send(goodbye);
    });
  }

  /**
   * One thing after the other.
   *
   * @template T
   * @param {(endpoint: Endpoint) => Promise<T>} task
   */
  _do(task) {
    return this._queue.run(() => task(this._endpoint)).catch((error) => {
      this._say({ error: { name: error.name, message: error.message } });
    });
  }

  /** @param {Uint8Array[]} datagrams */
  _send(datagrams) {
    if (datagrams.length) this._say({ datagrams });
  }

  /**
   * Code what was captured; where too much of it waits, whole packets are left out.
   *
   * @param {Float32Array} samples
   * @param {number} lost samples that should have followed
   */
  _spoken(samples, lost) {
    const { size } = this._endpoint;
    const excess = this._backlog + samples.length - MAX_BACKLOG_PACKETS * size;
    const dropped = Math.floor(Math.min(Math.max(excess, 0), samples.length) / size);
    const kept = samples.subarray(dropped * size);
    this._backlog += kept.length;
    this._lost += lost;
    const skipped = dropped + Math.floor(this._lost / size);
    this._lost %= size;
    this._do(async (endpoint) => {
      if (skipped) endpoint.skipSpoken(skipped);
      const datagrams = await endpoint.write(kept);
      this._backlog -= kept.length;
      this._send(datagrams);
    });
  }

  _poll() {
    this._do(async (endpoint) => {
      this._send(await endpoint.poll(clock()));
      const { connected, left, hungUp, gone } = endpoint;
      const state = { connected, left, hungUp, gone };
      if (JSON.stringify(state) === this._state) return;
      this._state = JSON.stringify(state);
      this._say({ state });
    });
  }
}
