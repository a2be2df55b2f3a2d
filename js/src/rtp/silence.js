/** Silence is not sent (DTX): a detector, and comfort noise after RFC 3389. */

import { FormatError } from "../errors.js";

const HANGOVER_S = 0.2; // still sent after speech: word ends are quiet
const SPEECH_ABOVE_FLOOR_DB = 8; // dB above the noise floor that count as speech
const FLOOR_RISE_DB_PER_S = 3; // at which the floor follows a louder background
const MAX_SILENCE_DBOV = -35; // what is louder is never silence
const SURE_SILENCE_DBOV = -70; // what is quieter always is
const NOISE_CORNER_HZ = 500;

/**
 * Mean power in dBov: 0 is a full-scale square wave, -127 digital silence.
 *
 * @param {Float32Array} samples
 */
export function level(samples) {
  let power = 0;
  for (const sample of samples) power += sample * sample;
  return Math.max(-127, 10 * Math.log10(Math.max(power / samples.length, 1e-13)));
}

/** Energy against a slowly rising noise floor. */
export class SilenceDetector {
  /** @param {number} period seconds per block */
  constructor(period) {
    this._period = period;
    this._floor = MAX_SILENCE_DBOV - SPEECH_ABOVE_FLOOR_DB;
    this._hang = 0;
  }

  /**
   * Whether the next block, of that many dBov, is silence.
   *
   * @param {number} loudness
   */
  hears(loudness) {
    this._floor = Math.min(
      loudness,
      this._floor + FLOOR_RISE_DB_PER_S * this._period,
      MAX_SILENCE_DBOV - SPEECH_ABOVE_FLOOR_DB,
    );
    const speech = loudness > Math.max(this._floor + SPEECH_ABOVE_FLOOR_DB, SURE_SILENCE_DBOV);
    this._hang = speech ? HANGOVER_S : this._hang - this._period;
    return this._hang <= 0;
  }
}

/**
 * A comfort-noise payload: one byte, the level in -dBov (RFC 3389, section 3.1).
 *
 * @param {number} loudness
 */
export function describe(loudness) {
  return Uint8Array.of(Math.round(Math.min(127, Math.max(0, -loudness))));
}

/**
 * dBov of a comfort-noise payload; spectral coefficients after the level are ignored.
 *
 * @param {Uint8Array} payload
 * @throws {FormatError} no level, or one that does not exist
 */
export function described(payload) {
  if (payload.length < 1 || payload.length > 32 || payload[0] > 127) {
    throw new FormatError("a comfort-noise payload without a level");
  }
  return -payload[0];
}

/** Noise of a given level, falling 6 dB per octave above 500 Hz as rooms do. */
export class ComfortNoise {
  /** @param {number} rate Hz */
  constructor(rate) {
    this._pole = Math.exp((-2 * Math.PI * NOISE_CORNER_HZ) / rate);
    this._scale = Math.sqrt(1 - this._pole * this._pole); // of unit power
    this._past = 0;
    this._gain = 0;
  }

  /**
   * Add the next samples, gliding to that many dBov; null: to nothing.
   *
   * @param {Float32Array} samples changed in place
   * @param {number | null} loudness
   */
  addTo(samples, loudness) {
    const gain = loudness === null ? 0 : 10 ** (Math.min(loudness, MAX_SILENCE_DBOV) / 20);
    const step = (gain - this._gain) / Math.max(samples.length - 1, 1);
    for (let i = 0; i < samples.length; i++) {
      this._past = this._pole * this._past + this._scale * gaussian();
      samples[i] += this._past * (this._gain + i * step);
    }
    this._gain = gain;
  }

  /** Whether it has faded to nothing. */
  get silent() {
    return this._gain === 0;
  }
}

/** A normally distributed number (Box and Muller, 1958). */
function gaussian() {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}
