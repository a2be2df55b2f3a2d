/** One end of a call, without sockets, threads or clocks: datagrams, samples, times in and out. */

import { ConfigError, FormatError } from "../errors.js";
import { Controller } from "../rtp/control.js";
import { COMPACT, isRtcp, MAX_DATAGRAM, SPEECH } from "../rtp/packet.js";
import { MAX_FRAMES, MAX_PAYLOAD, Payloader } from "../rtp/payload.js";
import { Counts, Receiver } from "../rtp/receiver.js";
import { middle, NOTHING_HEARD, parseReport, reportBytes, roundTrip } from "../rtp/rtcp.js";
import { Sender } from "../rtp/sender.js";
import { SEQUENCE_ROUND } from "../rtp/sequence.js";
import { Handshake, isHello, SURE } from "./handshake.js";

/** @typedef {import("../rtp/rtcp.js").Report} Report */

const GREET_EVERY_S = 0.2; // between hellos
const REPORT_EVERY_S = 1; // between reports
const GONE_AFTER_S = 10; // without a packet, after which the other end is gone

/**
 * @typedef {object} CallOptions
 * @property {number} [bitrate] kbps, the highest to use; copies add to it
 * @property {number} [framesPerPacket] both ends need the same; 3 if not given
 * @property {boolean} [dtx] send almost nothing in silence
 */

/** One end of a call between two. Every call of a method is awaited before the next. */
export class Endpoint {
  /**
   * @param {import("../codec.js").Codec} codec one channel; both ends need the same model
   * @param {CallOptions} [options]
   * @throws {ConfigError} the model has several channels, or packets would not fit a datagram
   */
  constructor(codec, { bitrate, framesPerPacket = 3, dtx = false } = {}) {
    const { info } = codec;
    if (info.channels !== 1) {
      throw new ConfigError(`a call has one channel, model ${info.id} has ${info.channels}`);
    }
    const encoder = codec.encoder({ bitrate, framesPerPacket });
    this._format = info.packetFormat(framesPerPacket);
    if (framesPerPacket > MAX_FRAMES || this._format.size(info.codebooks) > MAX_PAYLOAD) {
      throw new ConfigError(`${framesPerPacket} frames do not fit a datagram: choose fewer`);
    }
    /** Samples and seconds of a packet: the step of `write` and `pull`. */
    this.size = this._format.samples;
    this.period = this._format.seconds;
    /** The other end's stream has ended, or it is gone. */
    this.left = false;
    /** It has said that it neither speaks nor listens any more. */
    this.hungUp = false;
    /** It is gone without a word. */
    this.gone = false;
    this._rate = info.sampleRate;
    const [ssrc] = crypto.getRandomValues(new Uint32Array(1));
    this._ssrc = ssrc || 1;
    this._payloader = new Payloader(this._format);
    this._sender = new Sender(encoder, this._payloader, this._ssrc, dtx);
    this._controller = new Controller(info.bitrates, encoder.bitrate, this.period);
    this._sender.setting = this._controller.setting;
    const own = { ssrc: this._ssrc, first: this._sender.first };
    this._handshake = new Handshake(own, info.weightsHash, framesPerPacket);
    this._decoder = codec.decoder({ framesPerPacket });
    /** @type {Receiver | null} */
    this._receiver = null;
    this._refused = 0; // datagrams that were not what they should be
    this._wire = 0; // bytes sent
    this._skipped = 0; // packet times
    this._greetAt = this._reportAt = this._alive = 0;
    /** @type {number | null} */
    this._began = null;
    // Time in the newest report, its middle bits, and when it came.
    this._newest = this._last = this._lastAt = 0;
    /** @type {Report | null} */
    this._far = null;
    /** @type {number | null} */
    this._roundTrip = null;
    this._ended = false;
  }

  /** Each end hears the other, and knows that it is heard. */
  get connected() {
    return this._handshake.state === SURE;
  }

  /**
   * Samples spoken -> datagrams to send; none while nobody hears them.
   *
   * @param {Float32Array} samples
   */
  async write(samples) {
    if (!this.connected || this._ended || this.hungUp) return [];
    return (await this._sender.write(samples)).map((packet) => this._sent(packet));
  }

  /**
   * The next packet time of what the other end says; once per `period`.
   *
   * @param {number} now seconds
   */
  async pull(now) {
    return this._receiver ? this._receiver.pull(now) : new Float32Array(this.size);
  }

  /**
   * This end was too slow for so many packet times: they were not written.
   *
   * @param {number} count
   */
  skipSpoken(count) {
    if (!this._receiver) return;
    this._skipped += count;
    this._sender.skip(count);
  }

  /**
   * This end was too slow for so many packet times: they were not pulled.
   *
   * @param {number} count
   */
  skipHeard(count) {
    this._receiver?.buffer.skip(count);
  }

  /** Whether all that has come has been played. */
  get drained() {
    return !this._receiver?.buffer.length;
  }

  /** The own stream ends: `poll` says so, again and again. */
  end() {
    if (this._ended) return;
    this._ended = true;
    this._reportAt = 0;
  }

  /**
   * The call is over.
   *
   * @param {number} now
   * @returns {Uint8Array[]} the datagram that tells the other end, to be sent more than once, since
   *   it may be lost; nothing when there is no call
   */
  hangUp(now) {
    return this._receiver ? [this._report(this._receiver, now, true)] : [];
  }

  /**
   * Datagrams due besides speech: hellos, reports, goodbyes. To be called once per period.
   *
   * @param {number} now
   */
  async poll(now) {
    const due = [];
    if (this._handshake.owes && now >= this._greetAt) {
      due.push(...(await this._handshake.hellos()));
      this._greetAt = now + GREET_EVERY_S;
      this._handshake.owes = !this.connected;
    }
    if (this._receiver && this.connected) {
      if (now >= this._reportAt) {
        this._reportAt = now + REPORT_EVERY_S;
        due.push(this._report(this._receiver, now, false));
      }
      if (!this.hungUp && now > this._alive + GONE_AFTER_S) this.left = this.gone = true;
    }
    return due;
  }

  /**
   * A datagram has come from the other end; hostile ones are only counted.
   *
   * @param {Uint8Array} datagram
   * @param {number} now
   * @throws {import("../errors.js").ModelError} the other end speaks with another model or packet
   *   size
   */
  async receive(datagram, now) {
    try {
      if (datagram.length > MAX_DATAGRAM) {
        throw new FormatError(`a datagram of ${datagram.length} bytes`);
      }
      if (isHello(datagram)) await this._greeted(datagram, now);
      else if (this._receiver) this._packet(this._receiver, datagram, now);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      this._refused++;
    }
  }

  /**
   * A hello has come; one that brings news is answered at once.
   *
   * @param {Uint8Array} hello
   * @param {number} now
   */
  async _greeted(hello, now) {
    const handshake = this._handshake;
    const before = { state: handshake.state, agreed: handshake.agreed, called: handshake.called };
    await handshake.receive(hello);
    const { state, agreed, called } = handshake;
    if (state !== before.state || agreed !== before.agreed || called !== before.called) {
      this._greetAt = now;
    }
    this._payloader.form = handshake.compact ? COMPACT : SPEECH;
    if (agreed && agreed !== before.agreed) {
      this._receiver = new Receiver(this._decoder, this._format, agreed.ssrc, agreed.first);
    }
    if (this.connected && this._began === null) this._aliveAt(now);
  }

  /**
   * The other end has shown that it hears and is heard.
   *
   * @param {number} now
   */
  _aliveAt(now) {
    this._alive = now;
    if (this._began !== null) return;
    this._handshake.sure();
    this._began = now;
    this._reportAt = now + (this._ended ? 0 : REPORT_EVERY_S);
  }

  /**
   * @param {Receiver} receiver
   * @param {Uint8Array} packet
   * @param {number} now
   */
  _packet(receiver, packet, now) {
    if (isRtcp(packet)) {
      this._hear(receiver, parseReport(packet, this._rate), now);
      return;
    }
    const before = receiver.counts.received;
    receiver.receive(packet, now);
    if (receiver.counts.received > before) this._aliveAt(now);
  }

  /**
   * @param {Receiver} receiver
   * @param {Report} report
   * @param {number} now
   */
  _hear(receiver, report, now) {
    if (report.ssrc !== receiver.ssrc || (report.heard && report.heard !== this._ssrc)) {
      throw new FormatError("a report of another stream");
    }
    this._aliveAt(now);
    receiver.sequence.tell(report.packets);
    this.left ||= report.ended;
    this.hungUp ||= report.hungUp;
    if (report.time < this._newest) return; // overtaken: what it says has changed since
    this._newest = report.time;
    this._last = middle(report.time);
    this._lastAt = now;
    if (!report.heard) return;
    this._far = report;
    this._roundTrip = roundTrip(report, now);
    this._sender.setting = this._controller.update(report.loss, this._roundTrip, report.burst);
  }

  /**
   * @param {Receiver} receiver
   * @param {number} now
   * @param {boolean} hungUp
   */
  _report({ ssrc, sequence }, now, hungUp) {
    const { timestamp, packets, octets } = this._sender;
    const heard = !sequence.received
      ? NOTHING_HEARD
      : {
          heard: ssrc,
          loss: sequence.interval(),
          lost: sequence.missing,
          highest: sequence.highest,
          jitter: sequence.jitter,
          last: this._last,
          held: this._last ? now - this._lastAt : 0,
          burst: this._handshake.compact ? sequence.burst : null,
        };
    const own = { ssrc: this._ssrc, time: now, timestamp, packets, octets };
    return this._sent(reportBytes({ ...own, ...heard, ended: this._ended, hungUp }, this._rate));
  }

  /** @param {Uint8Array} datagram */
  _sent(datagram) {
    this._wire += datagram.length;
    return datagram;
  }

  /** Packets sent that the other end has not heard, as far as it has told; null: it has not. */
  get _unheard() {
    const far = this._far;
    if (!this._sender.packets) return 0;
    if (!this.hungUp) return far && far.lost;
    if (!far) return this._sender.packets;
    // Its last word: what came later came too late.
    const expected = far.highest - (this._sender.first + SEQUENCE_ROUND) + 1;
    return this._sender.packets - (expected - far.lost);
  }

  /**
   * What happened so far, in the words of docs/call.md; times in ms, rates in kbps, null for what is
   * not known.
   *
   * @param {number} now
   */
  summary(now) {
    const receiver = this._receiver;
    const began = this._began ?? now;
    const seconds = Math.max(now - began, this.period);
    const depth = receiver?.buffer.depth ?? 0;
    const trip = this._roundTrip;
    const setting = this._sender.setting;
    return {
      connected: this.connected,
      seconds: this.connected ? seconds : 0,
      skipped: this._skipped,
      sent: this._sender.packets,
      payload_kbps: (8 * this._sender.octets) / seconds / 1000,
      udp_kbps: (8 * this._wire) / seconds / 1000,
      lost_on_the_way_there: this._unheard,
      round_trip_ms: trip === null ? null : 1000 * trip,
      bitrate_now_kbps: setting.bitrate,
      redundancy_now: setting.redundancy.distances,
      refused: this._refused,
      lost: receiver?.sequence.lost ?? 0,
      ...(receiver?.counts ?? new Counts()),
      jitter_ms: receiver ? 1000 * receiver.sequence.jitter : null,
      buffer_ms: 1000 * depth,
      // Packet, half a round trip, jitter buffer; without devices and processing.
      delay_ms: trip === null ? null : 1000 * (this.period + trip / 2 + depth),
    };
  }
}
