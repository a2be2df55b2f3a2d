/** What a model's `model.json` says, checked. */

import { ConfigError, ModelError } from "./errors.js";
import { PacketFormat } from "./packet.js";

export const WEIGHTS = "weights.safetensors";
export const ENCODER = "encoder.onnx";
export const DECODER = "decoder.onnx";
/** The same two with operators that WebAssembly runs faster; older models have none. */
export const WASM_ENCODER = "encoder.wasm.onnx";
export const WASM_DECODER = "decoder.wasm.onnx";
/** Guesses lost frames; a model may have it. */
export const CONCEALMENT = "concealment.onnx";
export const INFO = "model.json";

const RATE_TOLERANCE_KBPS = 0.01;

/** Identity of a model, its numbers, and the hashes of the files beside it. */
export class ModelInfo {
  /**
   * @param {unknown} data what `model.json` holds
   * @throws {ModelError} a value is missing or impossible
   */
  constructor(data) {
    /** What `model.json` holds. */
    this.data = data;
    const { id, codec, files } = record(data, INFO);
    const { sample_rate, hop, channels, quantizer } = record(codec, "codec");
    const { codebooks, codebook_size, dim } = record(quantizer, "quantizer");
    if (typeof id !== "string" || !/^[a-z0-9][a-z0-9._-]{0,23}$/.test(id)) {
      throw new ModelError(`${INFO}: id must be up to 24 of a-z, 0-9, '.', '_' and '-'`);
    }
    this.id = id;
    /** Hz at which the model codes. */
    this.sampleRate = whole(sample_rate, "sample_rate", 1000, 768000);
    /** Samples per frame, which is also the algorithmic latency. */
    this.hop = whole(hop, "hop", 1, 65535);
    /** Channels that are coded together. */
    this.channels = whole(channels, "channels", 1, 16);
    this.codebooks = whole(codebooks, "codebooks", 1, 64);
    /** Codes in each codebook. */
    this.codebookSize = whole(codebook_size, "codebook_size", 2, 65536);
    /** Values of a latent frame. */
    this.dim = whole(dim, "dim", 1, 65536);
    /** Bits of one code. */
    this.codeBits = Math.log2(this.codebookSize);
    if (!Number.isInteger(this.codeBits)) {
      throw new ModelError(`${INFO}: codebook_size must be a power of two`);
    }
    /** @type {Record<string, string>} file name -> SHA-256, hexadecimal */
    this.files = {};
    for (const [name, hash] of Object.entries(record(files, "files"))) {
      if (typeof hash !== "string" || !/^[0-9a-f]{64}$/.test(hash)) {
        throw new ModelError(`${INFO}: files.${name} is no SHA-256`);
      }
      this.files[name] = hash;
    }
    for (const name of [WEIGHTS, ENCODER, DECODER]) {
      if (!(name in this.files)) throw new ModelError(`${INFO} lists no ${name}`);
    }
  }

  /** File names of the encoder's and the decoder's graph. */
  get graphs() {
    return WASM_ENCODER in this.files && WASM_DECODER in this.files
      ? [WASM_ENCODER, WASM_DECODER]
      : [ENCODER, DECODER];
  }

  /** Names of the files that are loaded. */
  get names() {
    return [WEIGHTS, ...this.graphs, ...(CONCEALMENT in this.files ? [CONCEALMENT] : [])];
  }

  /** The first 8 bytes of the weights' SHA-256: what `.adc` files carry to name their decoder. */
  get weightsHash() {
    const hash = this.files[WEIGHTS];
    return Uint8Array.from({ length: 8 }, (_, i) => parseInt(hash.slice(2 * i, 2 * i + 2), 16));
  }

  /** Frames per second. */
  get frameRate() {
    return this.sampleRate / this.hop;
  }

  /**
   * Payload bitrate in kbps when the codes of that many leading codebooks are sent.
   *
   * @param {number} numCodebooks
   */
  bitrate(numCodebooks) {
    return (this.frameRate * numCodebooks * this.codeBits) / 1000;
  }

  /** kbps on offer; the n-th is that of n codebooks. */
  get bitrates() {
    return Array.from({ length: this.codebooks }, (_, i) => this.bitrate(i + 1));
  }

  /**
   * Number of codebooks whose bitrate is `kbps`; all of them if not given.
   *
   * @param {number} [kbps]
   * @throws {ConfigError} no number of codebooks gives that rate
   */
  codebooksFor(kbps) {
    if (kbps === undefined) return this.codebooks;
    const rates = this.bitrates;
    const found = rates.findIndex((rate) => Math.abs(rate - kbps) <= RATE_TOLERANCE_KBPS);
    if (found >= 0) return found + 1;
    const choices = rates.map((rate) => +rate.toFixed(3)).join(", ");
    throw new ConfigError(`bitrate ${kbps} kbps is not offered by this model; choose ${choices}`);
  }

  /**
   * The format of packets of that many frames.
   *
   * @param {number} frames
   */
  packetFormat(frames) {
    return new PacketFormat(frames, this.codebooks, this.codeBits, this.hop, this.sampleRate);
  }
}

/**
 * @param {unknown} value
 * @param {string} name
 * @returns {Record<string, unknown>}
 */
function record(value, name) {
  if (typeof value === "object" && value !== null) return /** @type {any} */ (value);
  throw new ModelError(`${INFO}: ${name} is missing`);
}

/**
 * @param {unknown} value
 * @param {string} name
 * @param {number} least
 * @param {number} most
 * @returns {number}
 */
function whole(value, name, least, most) {
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) {
    return value;
  }
  throw new ModelError(`${INFO}: ${name} must be a whole number, ${least} to ${most}`);
}
