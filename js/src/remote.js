/** The page's end of a codec in a worker: the same methods, computed there. */

import { RemoteCall } from "./call/remote.js";
import { checkPacketFrames, countCodebooks } from "./checks.js";
import { ModelInfo } from "./config.js";
import * as errors from "./errors.js";
import { Microphone } from "./sound.js";

/** @typedef {import("./session.js").EncoderOptions} EncoderOptions */
/** @typedef {import("./session.js").DecoderOptions} DecoderOptions */

const [DESK, CODEC] = [0, 1]; // ids of what every worker holds

/**
 * Load a model in a Web Worker of its own, so that the page never waits for it.
 *
 * @param {string | URL} folder as `load` takes it
 * @param {{progress?: (progress: import("./model.js").Progress) => void} &
 *   import("./runtime.js").RuntimeOptions} [options]
 * @returns {Promise<RemoteCodec>}
 * @throws {errors.ModelError} there is no model, or its files are damaged
 */
export async function loadInWorker(folder, { progress, threads, wasm } = {}) {
  const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  const line = new Line(worker, progress);
  try {
    const url = new URL(folder, location.href).href;
    const place = wasm === undefined ? undefined : new URL(wasm, location.href).href;
    const data = await line.ask(DESK, "load", [url, { threads, wasm: place }]);
    return new RemoteCodec(line, new ModelInfo(data));
  } catch (error) {
    worker.terminate();
    throw error;
  }
}

/** Requests to a worker, and its answers. */
export class Line {
  /**
   * @param {Worker} worker
   * @param {(progress: any) => void} [progress]
   */
  constructor(worker, progress) {
    this.worker = worker;
    this._asked = 0;
    this._opened = CODEC;
    /** @type {Map<number, {resolve: (value: any) => void, reject: (error: Error) => void}>} */
    this._waiting = new Map();
    /** What to do with what a stream says by itself. @type {Map<number, (said: any) => void>} */
    this.listeners = new Map();
    worker.onmessage = ({ data }) => {
      if (data.progress) progress?.(data.progress);
      else if (data.stream) this.listeners.get(data.stream)?.(data);
      else this._answered(data);
    };
    worker.onerror = (event) => {
      const error = new errors.ModelError(`the worker cannot run: ${event.message ?? "no file"}`);
      for (const { reject } of this._waiting.values()) reject(error);
      this._waiting.clear();
    };
  }

  /**
   * @param {number} target
   * @param {string} method
   * @param {any[]} args
   * @param {Transferable[]} [transfer]
   * @returns {Promise<any>}
   */
  ask(target, method, args, transfer = []) {
    const id = ++this._asked;
    return new Promise((resolve, reject) => {
      this._waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, target, method, args }, transfer);
    });
  }

  /** An id for an object to be opened in the worker. */
  next() {
    return ++this._opened;
  }

  /** @param {{id: number, result?: any, error?: {name: string, message: string}}} answer */
  _answered({ id, result, error }) {
    const waiting = this._waiting.get(id);
    this._waiting.delete(id);
    if (error) waiting?.reject(this.error(error));
    else waiting?.resolve(result);
  }

  /**
   * What went wrong in the worker, as the error it was there.
   *
   * @param {{name: string, message: string}} error
   * @returns {Error}
   */
  error({ name, message }) {
    return new (/** @type {any} */ (errors)[name] ?? Error)(message);
  }
}

/** A codec in a worker. Its methods are those of `Codec`. */
export class RemoteCodec {
  /**
   * @param {Line} line
   * @param {ModelInfo} info
   */
  constructor(line, info) {
    this._line = line;
    this.info = info;
    this.sampleRate = info.sampleRate;
    this.channels = info.channels;
    this.hop = info.hop;
    this.bitrates = info.bitrates;
  }

  /**
   * @param {Float32Array | Float32Array[]} samples
   * @param {{bitrate?: number, numCodebooks?: number}} [options]
   * @returns {Promise<Uint16Array[]>}
   */
  encode(samples, options) {
    return this._line.ask(CODEC, "encode", [samples, options]);
  }

  /**
   * @param {ArrayLike<number>[]} codes
   * @param {{length?: number}} [options]
   * @returns {Promise<Float32Array | Float32Array[]>}
   */
  decode(codes, options) {
    return this._line.ask(CODEC, "decode", [codes, options]);
  }

  /**
   * @param {Float32Array[]} channels
   * @param {import("./adc.js").FileOptions} [options]
   * @returns {Promise<Uint8Array>}
   */
  encodeFile(channels, options) {
    return this._line.ask(CODEC, "encodeFile", [channels, options]);
  }

  /**
   * @param {Uint8Array} file
   * @returns {Promise<import("./adc.js").DecodedFile>}
   */
  decodeFile(file) {
    return this._line.ask(CODEC, "decodeFile", [file]);
  }

  /** @param {EncoderOptions} [options] */
  encoder(options = {}) {
    return new RemoteEncoder(this._line, this.info, options);
  }

  /** @param {DecoderOptions} [options] */
  decoder(options = {}) {
    return new RemoteDecoder(this._line, this.info, options);
  }

  /**
   * Begin one end of a call: what is spoken goes out in datagrams, and what comes in is played. The
   * other end runs this package or `audiodec.call` in Python; how datagrams travel is up to `send`
   * and `RemoteCall.receive`.
   *
   * @param {import("./call/remote.js").Parts} parts
   * @param {import("./call/endpoint.js").CallOptions} [options]
   * @throws {errors.ConfigError} the context has another rate, or an option is not offered
   */
  call(parts, options = {}) {
    return RemoteCall.open(this._line, this.info, parts, options);
  }

  /** End the worker: nothing of this codec can be used any more. */
  close() {
    this._line.worker.terminate();
  }
}

/** A stream in the worker. */
class RemoteStream {
  /**
   * @param {Line} line
   * @param {"encoder" | "decoder"} kind
   * @param {any} options
   */
  constructor(line, kind, options) {
    this._line = line;
    this._id = line.next();
    line.ask(DESK, "open", [this._id, kind, options]);
  }

  /** Forget everything: what comes next begins a new stream. @returns {Promise<void>} */
  reset() {
    return this._line.ask(this._id, "reset", []);
  }

  /** The stream is not used any more. @returns {Promise<void>} */
  close() {
    this._line.listeners.delete(this._id);
    return this._line.ask(this._id, "close", []);
  }
}

/** An encoder in a worker. Its methods are those of `Encoder`. */
class RemoteEncoder extends RemoteStream {
  /**
   * @param {Line} line
   * @param {ModelInfo} info
   * @param {EncoderOptions} options
   */
  constructor(line, info, options) {
    const { framesPerPacket = 1 } = options;
    const count = countCodebooks(info, options);
    checkPacketFrames(framesPerPacket, info.codeBits);
    super(line, "encoder", options);
    this._info = info;
    this._numCodebooks = count;
    this._samples = framesPerPacket * info.hop;
  }

  get bitrate() {
    return this._info.bitrate(this._numCodebooks);
  }

  set bitrate(kbps) {
    this.numCodebooks = countCodebooks(this._info, { bitrate: kbps });
  }

  get numCodebooks() {
    return this._numCodebooks;
  }

  set numCodebooks(count) {
    this._numCodebooks = countCodebooks(this._info, { numCodebooks: count });
    this._line.ask(this._id, "set", ["numCodebooks", count]);
  }

  /** @param {Float32Array | Float32Array[]} samples @returns {Promise<Uint8Array[]>} */
  write(samples) {
    return this._line.ask(this._id, "write", [samples]);
  }

  /** @returns {Promise<Uint8Array[]>} */
  drain() {
    return this._line.ask(this._id, "drain", []);
  }

  /**
   * Code what a microphone captures, from its AudioWorklet straight to the worker.
   *
   * @param {AudioContext} context at the model's rate
   * @param {MediaStream} stream as `getUserMedia` gives it
   * @param {(packets: Uint8Array[]) => void} listener
   * @returns {Promise<Microphone>}
   */
  async listen(context, stream, listener) {
    const microphone = await Microphone.open(context, stream, this._info, this._samples);
    this._line.listeners.set(this._id, ({ packets }) => listener(packets));
    const { link } = microphone;
    await this._line.ask(DESK, "listen", [this._id, link], [link.port]);
    return microphone;
  }
}

/** A decoder in a worker. Its methods are those of `Decoder`. */
class RemoteDecoder extends RemoteStream {
  /**
   * @param {Line} line
   * @param {ModelInfo} info
   * @param {DecoderOptions} options
   */
  constructor(line, info, options) {
    checkPacketFrames(options.framesPerPacket ?? 1, info.codeBits);
    super(line, "decoder", options);
  }

  /**
   * @param {Uint8Array | null} packet
   * @param {import("./session.js").Arrived} [arrived]
   * @returns {Promise<Float32Array | Float32Array[]>}
   */
  decode(packet, arrived) {
    return this._line.ask(this._id, "decode", [packet, arrived]);
  }
}
