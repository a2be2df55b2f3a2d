/** One stream: an encoder from sound to packets, a decoder from packets to sound. */

import { checkPacketFrames, checkSignal, countCodebooks } from "./checks.js";
import { ABSENT } from "./codebooks.js";
import { Playback } from "./concealment.js";
import { Queue } from "./queue.js";
import { CHUNK } from "./runtime.js";

/**
 * @typedef {object} EncoderOptions
 * @property {number} [bitrate] kbps, one of `Codec.bitrates`; the highest if not given
 * @property {number} [numCodebooks] how many codebooks to code with, instead of a bitrate
 * @property {number} [framesPerPacket] 1 to 1000; 1 if not given. More need fewer headers on a
 *   network, and wait longer.
 */

/**
 * One stream of sound to packets: write any number of samples, then drain.
 *
 * However the sound is cut into pieces, the packets are the same, and hold the codes that
 * `Codec.encode` gives. Calls need not be awaited before the next: they keep their order.
 */
export class Encoder {
  /**
   * @param {import("./runtime.js").Runtime} runtime
   * @param {EncoderOptions} [options]
   */
  constructor(runtime, { bitrate, numCodebooks, framesPerPacket = 1 } = {}) {
    this._runtime = runtime;
    this._numCodebooks = countCodebooks(runtime.info, { bitrate, numCodebooks });
    const frames = checkPacketFrames(framesPerPacket, runtime.info.codeBits);
    this._format = runtime.info.packetFormat(frames);
    this._queue = new Queue();
    this._state = runtime.encoderState();
    this._waiting = silence(runtime.info.channels);
  }

  /** kbps of the packets, one of `Codec.bitrates`; it may be changed at any time. */
  get bitrate() {
    return this._runtime.info.bitrate(this._numCodebooks);
  }

  set bitrate(kbps) {
    this._numCodebooks = countCodebooks(this._runtime.info, { bitrate: kbps });
  }

  /** Codebooks that the packets hold codes of; another way to say `bitrate`. */
  get numCodebooks() {
    return this._numCodebooks;
  }

  set numCodebooks(count) {
    this._numCodebooks = countCodebooks(this._runtime.info, { numCodebooks: count });
  }

  /**
   * Add samples, and get the packets that are complete now, oldest first.
   *
   * @param {Float32Array | Float32Array[]} samples sound in [-1, 1] at the model's rate, any number;
   *   an array per channel where the model codes several together
   * @returns {Promise<Uint8Array[]>}
   * @throws {import("./errors.js").AudioError} no such sound; the stream is as it was before
   */
  async write(samples) {
    const signal = checkSignal(samples, this._runtime.info.channels).map((x) => x.slice());
    const count = this._numCodebooks;
    return this._queue.run(() => this._add(signal, count));
  }

  /**
   * Get the last packets, the very last filled up with zeros, and reset.
   *
   * There may be none: no samples were written since the last packet.
   *
   * @returns {Promise<Uint8Array[]>}
   */
  async drain() {
    const count = this._numCodebooks;
    return this._queue.run(async () => {
      const size = this._format.samples;
      const missing = (size - (this._waiting[0].length % size)) % size;
      const packets = await this._add(
        this._waiting.map(() => new Float32Array(missing)),
        count,
      );
      this._restart();
      return packets;
    });
  }

  /** Forget everything: the next sample begins a new stream. */
  async reset() {
    return this._queue.run(async () => this._restart());
  }

  _restart() {
    this._state = this._runtime.encoderState();
    this._waiting = silence(this._runtime.info.channels);
  }

  /**
   * Packets that are complete with these samples.
   *
   * @param {Float32Array[]} signal
   * @param {number} count codebooks
   */
  async _add(signal, count) {
    this._waiting = this._waiting.map((waiting, i) => joined(waiting, signal[i]));
    const size = this._format.samples;
    const ready = this._waiting[0].length - (this._waiting[0].length % size);
    const step = size * Math.max(1, Math.floor(CHUNK / this._format.frames));
    const packets = [];
    for (let start = 0; start < ready; start += step) {
      const piece = this._waiting.map((x) => x.subarray(start, Math.min(start + step, ready)));
      const { codes, state } = await this._runtime.encode(piece, this._state, count);
      this._state = state;
      for (let at = 0; at < codes[0].length; at += this._format.frames) {
        packets.push(this._format.pack(codes.map((row) => row.subarray(at, at + this._format.frames))));
      }
    }
    this._waiting = this._waiting.map((x) => x.slice(ready));
    return packets;
  }
}

/**
 * @param {number} channels
 * @returns {Float32Array[]} of no samples
 */
function silence(channels) {
  return Array.from({ length: channels }, () => new Float32Array());
}

/**
 * @typedef {object} DecoderOptions
 * @property {number} [framesPerPacket] what the encoder was told; 1 if not given
 */

/**
 * What is known beside a packet.
 *
 * @typedef {object} Arrived
 * @property {boolean} [coarse] it is a copy in fewer codebooks than were sent: the rest is guessed
 * @property {(Uint8Array | null)[]} [ahead] the packets after it, as far as they are there already,
 *   null for one that is not: with them a guess is better
 */

/**
 * One stream of packets to sound: a packet in, its samples out; null for a lost packet.
 *
 * Packets may be of any bitrate, and change it from one to the next. All samples together are those
 * of `Codec.decode`. Calls need not be awaited before the next: they keep their order.
 */
export class Decoder {
  /**
   * @param {import("./runtime.js").Runtime} runtime
   * @param {DecoderOptions} [options]
   */
  constructor(runtime, { framesPerPacket = 1 } = {}) {
    this._runtime = runtime;
    const frames = checkPacketFrames(framesPerPacket, runtime.info.codeBits);
    this._format = runtime.info.packetFormat(frames);
    this._queue = new Queue();
    this._playback = new Playback(runtime);
  }

  /**
   * Decode a packet, or conceal its loss.
   *
   * A lost packet (null) is guessed from what is known around it; a model without a graph for that
   * repeats the last frame. Where nothing more comes, the sound fades to silence. What comes after a
   * loss is right again as soon as the decoder has forgotten it (150 ms).
   *
   * @param {Uint8Array | null} packet
   * @param {Arrived} [arrived]
   * @returns {Promise<Float32Array | Float32Array[]>} sound in [-1, 1], framesPerPacket * hop
   *   samples; an array per channel where the model codes several together
   * @throws {import("./errors.js").FormatError} the bytes are no packet of this stream, which is as
   *   it was before
   */
  async decode(packet, { coarse = false, ahead = [] } = {}) {
    const codes = packet === null ? null : this._format.unpack(packet);
    const following = this._following(ahead);
    return this._queue.run(async () =>
      asSignal(
        await (codes
          ? this._playback.play(codes, coarse, following)
          : this._playback.conceal(this._format.frames, following)),
      ),
    );
  }

  /**
   * Codes of the packets ahead, `ABSENT` where there are none.
   *
   * @param {(Uint8Array | null)[]} ahead
   */
  _following(ahead) {
    if (!ahead.some((packet) => packet)) return null;
    const { frames, codebooks } = this._format;
    const rows = Array.from({ length: codebooks }, () =>
      new Int32Array(frames * ahead.length).fill(ABSENT),
    );
    ahead.forEach((packet, n) => {
      if (packet) this._format.unpack(packet).forEach((row, i) => rows[i].set(row, n * frames));
    });
    return rows;
  }

  /** Forget everything: the next packet begins a new stream. */
  async reset() {
    return this._queue.run(async () => {
      this._playback = new Playback(this._runtime);
    });
  }
}

/**
 * @param {Float32Array[]} channels
 * @returns {Float32Array | Float32Array[]} a single channel by itself
 */
export function asSignal(channels) {
  return channels.length === 1 ? channels[0] : channels;
}

/**
 * @param {Float32Array} first
 * @param {Float32Array} second
 */
export function joined(first, second) {
  const both = new Float32Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
