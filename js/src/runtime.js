/** Runs one model in onnxruntime-web: sound to codes and back, state passed and returned. */

import * as ort from "onnxruntime-web/wasm";

import { Codebooks } from "./codebooks.js";
import { CONCEALMENT, WEIGHTS } from "./config.js";
import { ModelError } from "./errors.js";

/** @typedef {Record<string, ort.Tensor>} State */

export const CHUNK = 256; // frames per step when a long signal is processed
const NEXT = ".next"; // state `x` goes into a graph as "x" and comes out as "x.next"

/**
 * @typedef {object} RuntimeOptions
 * @property {number} [threads] that compute; more than 1 only where the page is isolated
 *   (`crossOriginIsolated`)
 * @property {string | URL} [wasm] the folder with onnxruntime-web's `ort-wasm-simd-threaded.wasm`
 *   and `.mjs`; if not given, where the bundler or Node finds them
 */

export class Runtime {
  /**
   * @param {import("./model.js").Model} model
   * @param {RuntimeOptions} [options]
   */
  static async start(model, { threads = 1, wasm } = {}) {
    ort.env.wasm.numThreads = threads;
    ort.env.logLevel = "error";
    if (wasm !== undefined) ort.env.wasm.wasmPaths = String(wasm).replace(/\/?$/, "/");
    const [encoder, decoder] = model.info.graphs;
    return new Runtime(
      model,
      await Graph.start(model, encoder),
      await Graph.start(model, decoder),
      CONCEALMENT in model.files ? await Graph.start(model, CONCEALMENT) : null,
    );
  }

  /**
   * @param {import("./model.js").Model} model
   * @param {Graph} encoder
   * @param {Graph} decoder
   * @param {Graph | null} concealment
   */
  constructor(model, encoder, decoder, concealment) {
    this.info = model.info;
    this._codebooks = new Codebooks(model);
    this._encoder = encoder;
    this._decoder = decoder;
    this._concealment = concealment;
  }

  /** Whether lost frames are guessed; else the last one is repeated. */
  get guesses() {
    return this._concealment !== null;
  }

  /** State of a fresh encoder stream. */
  encoderState() {
    return this._encoder.initialState();
  }

  /** State of a fresh decoder stream. */
  decoderState() {
    return this._decoder.initialState();
  }

  /**
   * @param {Float32Array[]} channels of a whole number of frames
   * @param {State} state
   * @param {number} numCodebooks leading ones, of which codes are returned
   * @returns {Promise<{codes: Uint16Array[], state: State}>}
   */
  async encode(channels, state, numCodebooks) {
    const samples = channels[0].length;
    const audio = new Float32Array(channels.length * samples);
    channels.forEach((channel, i) => audio.set(channel, i * samples));
    const signal = new ort.Tensor("float32", audio, [1, channels.length, samples]);
    const [results, after] = await this._encoder.step("audio", signal, state, ["codes"]);
    // The greedy search is inside the graph: codes are int64, [1, codebooks, frames].
    const found = /** @type {BigInt64Array} */ (results.codes.data);
    const frames = samples / this.info.hop;
    const codes = Array.from({ length: numCodebooks }, (_, i) =>
      Uint16Array.from(found.subarray(i * frames, (i + 1) * frames), Number),
    );
    return { codes, state: after };
  }

  /**
   * The quantized latents that codes stand for, [dim, frames].
   *
   * @param {import("./codebooks.js").Rows} codes
   */
  dequantize(codes) {
    return this._codebooks.decode(codes);
  }

  /**
   * Guess what a window lacks.
   *
   * @param {Float32Array} latents [dim, frames]; zeros where nothing is known
   * @param {Float32Array} known share of all codebooks that are, [frames]
   * @returns {Promise<Float32Array>} whole latents, [dim, frames]
   */
  async guess(latents, known) {
    const graph = /** @type {Graph} */ (this._concealment);
    const shape = [1, this.info.dim, known.length];
    const { guess } = await graph.run({
      latents: new ort.Tensor("float32", latents, shape),
      known: new ort.Tensor("float32", known, [1, known.length]),
    });
    return /** @type {Float32Array} */ (guess.data);
  }

  /**
   * @param {Float32Array} latents quantized, [dim, frames]
   * @param {State} state
   * @returns {Promise<{channels: Float32Array[], state: State}>}
   */
  async decode(latents, state) {
    const frames = latents.length / this.info.dim;
    const quantized = new ort.Tensor("float32", latents, [1, this.info.dim, frames]);
    const [results, after] = await this._decoder.step("quantized", quantized, state, ["audio"]);
    const audio = /** @type {Float32Array} */ (results.audio.data);
    const samples = frames * this.info.hop;
    const channels = Array.from({ length: this.info.channels }, (_, i) =>
      audio.slice(i * samples, (i + 1) * samples),
    );
    return { channels, state: after };
  }
}

/** An ONNX graph whose inputs are one signal and its state, read off the graph itself. */
class Graph {
  /**
   * @param {import("./model.js").Model} model
   * @param {string} name
   */
  static async start(model, name) {
    try {
      const session = await ort.InferenceSession.create(model.files[name], {
        executionProviders: ["wasm"],
        externalData: [{ path: WEIGHTS, data: model.files[WEIGHTS] }],
      });
      return new Graph(session);
    } catch (error) {
      const reason = String(/** @type {any} */ (error)?.message ?? error).split("\n")[0];
      throw new ModelError(`${name} cannot be loaded by onnxruntime-web: ${reason}`);
    }
  }

  /** @param {ort.InferenceSession} session */
  constructor(session) {
    this._session = session;
    /** @type {Map<string, number[]>} of one stream, by name */
    this._shapes = new Map();
    for (const input of session.inputMetadata) {
      if (input.isTensor && session.outputNames.includes(input.name + NEXT)) {
        const [, ...sizes] = input.shape;
        this._shapes.set(input.name, [1, ...sizes.map(Number)]);
      }
    }
  }

  /** @returns {State} */
  initialState() {
    /** @type {State} */
    const state = {};
    for (const [name, shape] of this._shapes) {
      const size = shape.reduce((product, x) => product * x, 1);
      state[name] = new ort.Tensor("float32", new Float32Array(size), shape);
    }
    return state;
  }

  /** @param {Record<string, ort.Tensor>} inputs of a graph without state */
  run(inputs) {
    return this._session.run(inputs);
  }

  /**
   * @param {string} name of the signal
   * @param {ort.Tensor} signal
   * @param {State} state
   * @param {string[]} outputs
   * @returns {Promise<[Record<string, ort.Tensor>, State]>} outputs by name, and the state after
   */
  async step(name, signal, state, outputs) {
    const keys = [...this._shapes.keys()];
    const fetched = [...outputs, ...keys.map((key) => key + NEXT)];
    const results = await this._session.run({ [name]: signal, ...state }, fetched);
    const after = Object.fromEntries(keys.map((key) => [key, results[key + NEXT]]));
    return [results, after];
  }
}
