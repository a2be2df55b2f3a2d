/** One direction of a call, from samples to RTP packets. */

import { joined } from "../session.js";
import { COMFORT_NOISE, packetBytes } from "./packet.js";
import { NIBBLE } from "./payload.js";
import { describe, level, SilenceDetector } from "./silence.js";

const DESCRIBE_EVERY_S = 0.4; // seconds between descriptions of silence

/** @typedef {import("./control.js").Setting} Setting */

/** Write any number of samples, get the RTP packets they complete. */
export class Sender {
  /**
   * @param {import("../session.js").Encoder} encoder gives one packet of the payloader's format for
   *   the samples of one
   * @param {import("./payload.js").Payloader} payloader
   * @param {number} ssrc of the stream
   * @param {boolean} dtx send almost nothing in silence
   */
  constructor(encoder, payloader, ssrc, dtx) {
    this.ssrc = ssrc;
    /** Sent so far, and the bytes of their payloads. */
    this.packets = this.octets = 0;
    this._encoder = encoder;
    this._payloader = payloader;
    const { format } = payloader;
    this._size = format.samples;
    const [first, timestamp] = crypto.getRandomValues(new Uint32Array(2));
    /** Sequence number of the first packet; in the lower half, see docs/rtp.md. */
    this.first = first % (1 << 15);
    /** Of the next packet. */
    this.timestamp = timestamp;
    this._waiting = new Float32Array();
    this._silence = dtx ? new SilenceDetector(format.seconds) : null;
    this._every = Math.max(1, Math.round(DESCRIBE_EVERY_S / format.seconds));
    this._silentFor = 0; // packet times
  }

  /** Bitrate and copies; may be changed between packets. @returns {Setting} */
  get setting() {
    return { bitrate: this._encoder.bitrate, redundancy: this._payloader.redundancy };
  }

  set setting({ bitrate, redundancy }) {
    this._encoder.bitrate = bitrate;
    this._payloader.redundancy = redundancy;
  }

  /**
   * Add samples; one call after the other.
   *
   * @param {Float32Array} samples
   * @returns {Promise<Uint8Array[]>} the RTP packets now due, oldest first
   */
  async write(samples) {
    const waiting = joined(this._waiting, samples);
    const whole = waiting.length - (waiting.length % this._size);
    this._waiting = waiting.slice(whole);
    const packets = [];
    for (let at = 0; at < whole; at += this._size) {
      packets.push(...(await this._send(waiting.subarray(at, at + this._size))));
    }
    return packets;
  }

  /**
   * So many packet times pass unheard: time goes on, though nothing is sent.
   *
   * @param {number} count
   */
  skip(count) {
    this.timestamp += count * this._size;
    for (let i = 0; i < Math.min(count, NIBBLE); i++) this._payloader.skip();
  }

  /** @param {Float32Array} block */
  async _send(block) {
    const [packet] = await this._encoder.write(block); // in silence too: its state must know the past
    const loudness = this._silence ? level(block) : 0;
    const sent = [];
    if (this._silence?.hears(loudness)) {
      this._payloader.skip();
      const due = this._silentFor % this._every === 0;
      this._silentFor++;
      if (due) sent.push(this._packet(COMFORT_NOISE, describe(loudness), false));
    } else {
      const resumed = this._silentFor > 0;
      this._silentFor = 0;
      sent.push(this._packet(this._payloader.form, this._payloader.add(packet), resumed));
    }
    this.timestamp += this._size;
    return sent;
  }

  /**
   * @param {number} payloadType
   * @param {Uint8Array} payload
   * @param {boolean} marker
   */
  _packet(payloadType, payload, marker) {
    const sequence = this.first + this.packets;
    this.packets++;
    this.octets += payload.length;
    return packetBytes({
      payloadType, sequence, timestamp: this.timestamp, ssrc: this.ssrc, payload, marker,
    });
  }
}
