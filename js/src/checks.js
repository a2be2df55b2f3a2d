/** What a user hands over, checked: whatever could be miscoded is refused with its cure. */

import { AudioError, ConfigError, FormatError } from "./errors.js";

/** @typedef {import("./config.js").ModelInfo} ModelInfo */

const REFUSED_PEAK = 10; // of samples whose full scale is 1
const MAX_BEAM_WIDTH = 64; // code sequences
const MAX_PACKET_FRAMES = 1000;

/**
 * A signal as its channels.
 *
 * @param {Float32Array | Float32Array[]} samples one signal: an array, or one per channel
 * @param {number} channels that the model codes together
 * @returns {Float32Array[]}
 * @throws {AudioError} a shape that does not fit, or values that are no sound in [-1, 1]
 */
export function checkSignal(samples, channels) {
  const signal = Array.isArray(samples) ? samples : [samples];
  const fits = signal.length === channels && signal.every((x) => x instanceof Float32Array);
  if (!fits || signal.some((x) => x.length !== signal[0].length)) {
    const wanted = channels === 1 ? "a Float32Array" : `${channels} Float32Arrays of one length`;
    throw new AudioError(`samples must be ${wanted} of sound in [-1, 1] at the model's rate`);
  }
  for (const channel of signal) checkLevel(channel);
  return signal;
}

/** @param {Float32Array} channel */
function checkLevel(channel) {
  let peak = 0;
  for (const sample of channel) {
    const level = Math.abs(sample);
    if (!(level <= peak)) peak = level; // true for NaN, too
    if (Number.isNaN(peak)) break;
  }
  if (!Number.isFinite(peak)) {
    throw new AudioError("samples hold values that are not finite (NaN or infinity)");
  }
  if (peak > REFUSED_PEAK) {
    throw new AudioError(
      `samples peak at ${peak.toPrecision(6)}, but full scale is 1: divide 16-bit values by 32768`,
    );
  }
}

/**
 * @param {ArrayLike<number>[]} codes one row per codebook
 * @param {ModelInfo} info
 * @throws {FormatError} unless there are 1 to all codebooks, of equally many frames and known codes
 */
export function checkCodes(codes, info) {
  const rows = Array.isArray(codes) ? codes.length : 0;
  if (rows < 1 || rows > info.codebooks || codes.some((row) => row.length !== codes[0].length)) {
    throw new FormatError(
      `codes must be 1 to ${info.codebooks} rows, one per codebook, of equally many frames`,
    );
  }
  for (const row of codes) {
    for (let t = 0; t < row.length; t++) {
      const code = row[t];
      if (!(Number.isInteger(code) && code >= 0 && code < info.codebookSize)) {
        throw new FormatError(`codes must lie in 0..${info.codebookSize - 1}, not ${code}`);
      }
    }
  }
}

/**
 * @param {unknown} value
 * @param {string} name of the option, for the error
 * @param {number} least
 * @param {number} [most]
 * @returns {number}
 * @throws {ConfigError} unless it is a whole number in this range
 */
export function checkWhole(value, name, least, most = Number.MAX_SAFE_INTEGER) {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= least && value <= most) {
    return value;
  }
  const limits = most === Number.MAX_SAFE_INTEGER ? `${least} or more` : `${least} to ${most}`;
  throw new ConfigError(`${name} must be a whole number, ${limits}, not ${value}`);
}

/** @param {unknown} width */
export function checkBeamWidth(width) {
  return checkWhole(width, "beamWidth", 1, MAX_BEAM_WIDTH);
}

/**
 * So many frames that a codebook's codes fill a byte or more: a packet's length must tell its
 * codebooks.
 *
 * @param {unknown} frames
 * @param {number} codeBits
 */
export function checkPacketFrames(frames, codeBits) {
  return checkWhole(frames, "framesPerPacket", Math.ceil(8 / codeBits), MAX_PACKET_FRAMES);
}

/**
 * How many codebooks to code with: as told by either option, all if by none.
 *
 * @param {ModelInfo} info
 * @param {{bitrate?: number, numCodebooks?: number}} options
 * @returns {number}
 */
export function countCodebooks(info, { bitrate, numCodebooks }) {
  if (numCodebooks === undefined) return info.codebooksFor(bitrate);
  const count = checkWhole(numCodebooks, "numCodebooks", 1, info.codebooks);
  if (bitrate !== undefined && info.codebooksFor(bitrate) !== count) {
    throw new ConfigError(
      `bitrate ${bitrate} is numCodebooks ${info.codebooksFor(bitrate)}, not ${count}: ` +
        "give one of the two",
    );
  }
  return count;
}
