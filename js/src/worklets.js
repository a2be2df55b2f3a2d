/**
 * Microphone and loudspeaker inside an AudioContext, and the ring through which they speak with the
 * worker. One file that imports nothing: AudioWorklets load it as it is, bundled or not.
 */

const CAPACITY = 1 << 15; // samples, 0.7 s at 48 kHz; a power of two, so that counts may wrap

/**
 * Samples from one thread to another, without locks: one writes, one reads.
 *
 * Over a SharedArrayBuffer both ends hold the same ring; otherwise the reader has one to itself, and
 * what it is sent in messages goes in.
 */
export class Ring {
  /**
   * @param {boolean} shared
   * @returns {ArrayBuffer | SharedArrayBuffer}
   */
  static buffer(shared) {
    const bytes = 8 + 4 * CAPACITY;
    return shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes);
  }

  /** @param {ArrayBuffer | SharedArrayBuffer} buffer */
  constructor(buffer) {
    this._counts = new Int32Array(buffer, 0, 2); // samples written and read so far, wrapping
    this._samples = new Float32Array(buffer, 8);
  }

  /** Samples that wait to be read. */
  get length() {
    return (Atomics.load(this._counts, 0) - Atomics.load(this._counts, 1)) | 0;
  }

  /**
   * @param {Float32Array} samples of which those that find no room are left out
   * @returns {number} how many went in
   */
  write(samples) {
    const count = Math.min(samples.length, CAPACITY - this.length);
    const start = (Atomics.load(this._counts, 0) >>> 0) % CAPACITY;
    const first = Math.min(count, CAPACITY - start);
    this._samples.set(samples.subarray(0, first), start);
    this._samples.set(samples.subarray(first, count), 0);
    Atomics.add(this._counts, 0, count);
    return count;
  }

  /**
   * @param {Float32Array} into
   * @returns {number} how many samples came out
   */
  read(into) {
    const count = Math.min(into.length, this.length);
    const start = (Atomics.load(this._counts, 1) >>> 0) % CAPACITY;
    const first = Math.min(count, CAPACITY - start);
    into.set(this._samples.subarray(start, start + first));
    into.set(this._samples.subarray(0, count - first), first);
    Atomics.add(this._counts, 1, count);
    return count;
  }
}

/**
 * How a processor speaks with the worker.
 *
 * @typedef {object} Link
 * @property {MessagePort} port
 * @property {ArrayBuffer | SharedArrayBuffer} buffer of the ring
 */

const scope = /** @type {any} */ (globalThis);
const Processor = scope.AudioWorkletProcessor ?? class {}; // there is none in the worker

/** What both have in common. `processorOptions.batch`: samples between two messages. */
class Linked extends Processor {
  /** @param {{processorOptions: {batch: number}}} options */
  constructor({ processorOptions: { batch } }) {
    super();
    this._batch = batch;
    this._passed = 0; // samples since the last message
    /** @type {{ring: Ring, worker: MessagePort, shared: boolean} | undefined} */
    this._linked = undefined;
    this._open = true;
    this.port.onmessage = (/** @type {MessageEvent<Link | null>} */ { data }) => {
      if (data) this._link(data);
      else this._open = false;
    };
  }

  /** @param {Link} link */
  _link({ port, buffer }) {
    const shared = !(buffer instanceof ArrayBuffer);
    this._linked = { ring: new Ring(buffer), worker: port, shared };
  }

  /**
   * Whether a batch is complete with so many samples more.
   *
   * @param {number} samples
   */
  _completes(samples) {
    this._passed += samples;
    if (this._passed < this._batch) return false;
    this._passed -= this._batch;
    return true;
  }
}

/**
 * Sound of its input to the worker: a message per batch. Where the ring is shared, the message says
 * how many samples found no room in it.
 */
class Capture extends Linked {
  _lost = 0; // samples since the last message

  /**
   * @param {Float32Array[][]} inputs
   * @param {Float32Array[][]} outputs
   */
  process([[samples]], [[silence]]) {
    if (!this._linked) return this._open;
    const { ring, worker, shared } = this._linked;
    samples ??= silence; // nothing is connected: time goes on
    this._lost += samples.length - ring.write(samples);
    if (this._completes(samples.length)) {
      if (shared) {
        worker.postMessage(this._lost);
        this._lost = 0;
      } else {
        const batch = new Float32Array(this._batch);
        ring.read(batch);
        worker.postMessage(batch, [batch.buffer]);
      }
    }
    return this._open;
  }
}

/**
 * Sound from the worker to its output, silence where there is none. A message per batch says when
 * it was, in seconds of the context, and how many samples were missing in it.
 */
class Playback extends Linked {
  _missing = 0; // samples since the last message

  /** @param {Link} link */
  _link(link) {
    super._link(link);
    link.port.onmessage = ({ data }) => this._linked?.ring.write(data);
  }

  /**
   * @param {Float32Array[][]} _
   * @param {Float32Array[][]} outputs
   */
  process(_, [[samples]]) {
    if (!this._linked) return this._open;
    const { ring, worker } = this._linked;
    this._missing += samples.length - ring.read(samples);
    if (this._completes(samples.length)) {
      worker.postMessage({ time: scope.currentTime, missing: this._missing });
      this._missing = 0;
    }
    return this._open;
  }
}

scope.registerProcessor?.("audiodec-capture", Capture);
scope.registerProcessor?.("audiodec-playback", Playback);
