/**
 * One direction of a call, from RTP packets to samples: whatever arrives, sound on every pull.
 *
 * The rules are those of src/audiodec/rtp/receiver.py: the same arrivals give the same turns.
 */

import { FormatError } from "../errors.js";
import { CAPACITY_PACKETS, JitterBuffer } from "./jitter.js";
import {
  COMFORT_NOISE, COMPACT, MAX_DATAGRAM, modulo, parsePacket, SPEECH, unwrap,
} from "./packet.js";
import { parsePayload } from "./payload.js";
import { Sequence } from "./sequence.js";
import { ComfortNoise, described, level } from "./silence.js";

/** @typedef {import("../packet.js").PacketFormat} PacketFormat */
/** @typedef {import("./packet.js").RtpPacket} RtpPacket */

const ORIGINAL = MAX_DATAGRAM; // rank of a packet that is no copy: above that of any copy
const REACH_PACKETS = 64; // after which a copy's distance no longer lengthens the buffer
const AHEAD_PACKETS = 16; // after the one played, that help to guess what it lacks
const QUIET_DB = 20; // below the loudest of late that hide a change of delay
const SILENT_DBOV = -60; // that always do
const FORGET_DB_PER_S = 10; // by which the loudest of late falls

/** What happened to packets and packet times since the start. */
export class Counts {
  received = 0; // good packets of the agreed stream, without duplicates
  invalid = 0; // refused: damaged or hostile
  foreign = 0; // of another stream
  duplicate = 0; // come twice
  late = 0; // come after their time
  played = 0; // packet times filled from the packet itself
  recovered = 0; // from a copy of it
  concealed = 0; // from nothing
  noise = 0; // with comfort noise
  stretched = 0; // packet times put in to change the delay
  merged = 0; // left out
}

/**
 * A packet to be decoded, or concealed where it is null, and what is known beside it.
 *
 * @typedef {{packet: Uint8Array | null, coarse: boolean, ahead: (Uint8Array | null)[]}} Arrived
 */

/**
 * What one packet time is made of.
 *
 * @typedef {object} Turn
 * @property {Arrived[]} packets two are cross-faded into one packet time
 * @property {number | null} noise dBov of the comfort noise on top; null: without
 */

/** Datagrams in at any time, sound out once per packet time. Memory is bounded. */
export class Receiver {
  /**
   * @param {Pick<import("../session.js").Decoder, "decode">} decoder of one channel
   * @param {PacketFormat} format what the stream was agreed to be
   * @param {number} ssrc of the agreed stream; no other is ever heard
   * @param {number} [first] sequence number of its first packet, where that is agreed, too
   */
  constructor(decoder, format, ssrc, first) {
    this.ssrc = ssrc;
    this.counts = new Counts();
    this.sequence = new Sequence(first);
    this.period = format.seconds;
    this._decoder = decoder;
    this._format = format;
    this._size = format.samples;
    this._noise = new ComfortNoise(format.sampleRate);
    /** dBov, while the other end is silent. @type {number | null} */
    this._noiseLevel = null;
    this._loudest = this._newest = -127; // dBov, of what was played
    this._reaches = new Array(REACH_PACKETS).fill(0);
    this._sent = 0; // bytes of the packet played last: a shorter copy is coarser
    this.buffer = new JitterBuffer(this.period);
    /** Timestamp of packet time 0, unwrapped. @type {number | null} */
    this._origin = null;
    /** The last packet far from where playback is. @type {RtpPacket | null} */
    this._stray = null;
  }

  /**
   * A datagram has come; hostile ones are counted, nothing else.
   *
   * @param {Uint8Array} datagram
   * @param {number} now seconds, by the clock that also drives the pulls
   */
  receive(datagram, now) {
    try {
      const packet = parsePacket(datagram);
      if (packet.ssrc === this.ssrc) this._accept(packet, now);
      else this.counts.foreign++;
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      this.counts.invalid++;
    }
  }

  /**
   * @param {RtpPacket} packet
   * @param {number} now
   * @throws {FormatError} before anything has changed, when the packet is not to be used
   */
  _accept(packet, now) {
    const noise = packet.payloadType === COMFORT_NOISE;
    let payload = { packet: packet.payload, redundant: /** @type {Map<number, any>} */ (new Map()) };
    if (packet.payloadType === SPEECH || packet.payloadType === COMPACT) {
      payload = parsePayload(packet.payload, this._format, packet.payloadType);
    } else if (noise) described(packet.payload);
    else throw new FormatError(`payload type ${packet.payloadType}`);
    const index = this._index(packet);
    if (!this.sequence.receive(packet.sequence, now - index * this.period)) {
      this.counts.duplicate++;
      return;
    }
    this.counts.received++;
    this._reaches[this.counts.received % REACH_PACKETS] = Math.max(0, ...payload.redundant.keys());
    this.buffer.reach = Math.max(...this._reaches);
    if (!this.buffer.arrive(index, { data: payload.packet, noise, rank: ORIGINAL }, now)) {
      this.counts.late++;
    }
    for (const [distance, copy] of payload.redundant) {
      this.buffer.offer(index - distance, { data: copy, noise: false, rank: copy.length });
    }
  }

  /**
   * The packet time at which it was sent.
   *
   * @param {RtpPacket} packet
   * @returns {number}
   * @throws {FormatError} between packet times, or far from what is played now, unless two packets
   *   in a row say so: then the other end has begun anew, and so does this one
   */
  _index(packet) {
    this._origin ??= packet.timestamp;
    const near = this._origin + this.buffer.next * this._size;
    const since = unwrap(packet.timestamp, near, 32) - this._origin;
    const index = Math.floor(since / this._size);
    const known =
      modulo(since, this._size) === 0 && Math.abs(index - this.buffer.next) < CAPACITY_PACKETS;
    if (known && this.sequence.plausible(packet.sequence)) {
      this._stray = null;
      return index;
    }
    const stray = this._stray;
    this._stray = packet;
    if (
      !stray ||
      modulo(packet.sequence - stray.sequence, 2 ** 16) !== 1 ||
      modulo(packet.timestamp - stray.timestamp, 2 ** 32) !== this._size
    ) {
      throw new FormatError("a packet from another time");
    }
    this.buffer = new JitterBuffer(this.period);
    this._stray = null;
    this.sequence.restart();
    this._origin = packet.timestamp;
    return 0;
  }

  /**
   * The next packet time of sound; to be called once per packet time.
   *
   * @param {number} now seconds
   * @returns {Promise<Float32Array>}
   */
  async pull(now) {
    const turn = this.due(now);
    const decoded = [];
    for (const { packet, ...beside } of turn.packets) {
      decoded.push(/** @type {Float32Array} */ (await this._decoder.decode(packet, beside)));
    }
    return this.sound(turn, decoded);
  }

  /**
   * What the next packet time is made of.
   *
   * @param {number} now
   * @returns {Turn}
   */
  due(now) {
    const quiet =
      this._noiseLevel !== null || this._newest < Math.max(SILENT_DBOV, this._loudest - QUIET_DB);
    const { action, entries } = this.buffer.pull(now, quiet);
    if (action === "merge") this.counts.merged++;
    if (!entries.length) this._count(action);
    const ahead = this.buffer
      .ahead(AHEAD_PACKETS)
      .map((entry) => (entry && !entry.noise ? entry.data : null));
    const packets = entries.map((entry) => this._play(entry, ahead));
    if (!packets.length) packets.push({ packet: null, coarse: false, ahead });
    return { packets, noise: this._noiseLevel };
  }

  /**
   * The packet time of sound that became of a turn.
   *
   * @param {Turn} turn
   * @param {Float32Array[]} decoded of each of its packets
   */
  sound(turn, [audio, following]) {
    if (following) {
      const last = Math.max(audio.length - 1, 1);
      audio = audio.map((sample, i) => sample + ((following[i] - sample) * i) / last);
    }
    if (turn.noise !== null || !this._noise.silent) this._noise.addTo(audio, turn.noise);
    this._newest = level(audio);
    this._loudest = Math.max(this._newest, this._loudest - FORGET_DB_PER_S * this.period);
    return audio;
  }

  /**
   * @param {import("./jitter.js").Entry} entry
   * @param {(Uint8Array | null)[]} ahead
   * @returns {Arrived}
   */
  _play({ data, noise, rank }, ahead) {
    if (noise) {
      this._noiseLevel = described(data);
      this.counts.noise++;
      return { packet: null, coarse: false, ahead: [] };
    }
    this._noiseLevel = null;
    if (rank === ORIGINAL) {
      this.counts.played++;
      this._sent = data.length;
      return { packet: data, coarse: false, ahead: [] };
    }
    this.counts.recovered++;
    return { packet: data, coarse: data.length < this._sent, ahead };
  }

  /** @param {import("./jitter.js").Action} action */
  _count(action) {
    if (action === "stretch") this.counts.stretched++;
    else if (action === "miss" && this._noiseLevel === null) this.counts.concealed++;
    else if (action === "miss") this.counts.noise++;
  }
}
