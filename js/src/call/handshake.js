/**
 * How two ends of a call find each other: what is spoken, and by which SSRC. See docs/rtp.md.
 *
 * Each end sends a hello with a fresh nonce until it gets one that repeats that nonce, so an old
 * hello is worth nothing. Then both have agreed, but only the end that is told so by the other knows
 * that it will be heard: hellos go on until both are sure.
 *
 * Over WebRTC, DTLS encrypts and authenticates; the secret that both ends of other calls hold is
 * empty here.
 */

import { viewOf } from "../container.js";
import { FormatError, ModelError } from "../errors.js";

const FAMILY = "ADc"; // what every hello begins with
// An end greets in two forms that differ in this alone: ends that know only the first need no more.
const BASIC = new TextEncoder().encode(`${FAMILY}2`);
const COMPACT = new TextEncoder().encode(`${FAMILY}3`);
const OLDER = new TextEncoder().encode(`${FAMILY}1`);
const NONCE_SIZE = 16;
const TAG_SIZE = 32;
const SIZE = 52 + TAG_SIZE;

/** How far an end is, as its hellos say. */
export const CALLING = 0; // it knows nobody who knows it
export const AGREED = 1; // it hears, and does not know whether it is heard
export const SURE = 2; // the other end has agreed, too

/**
 * What an end sends: its name, and the sequence number of its first packet.
 *
 * @typedef {{ssrc: number, first: number}} Stream
 */

/**
 * Whether a datagram begins as a hello does.
 *
 * @param {Uint8Array} datagram
 */
export function isHello(datagram) {
  return [...FAMILY].every((letter, i) => datagram[i] === letter.charCodeAt(0));
}

/** One end's side. */
export class Handshake {
  /**
   * @param {Stream} stream the own one
   * @param {Uint8Array} weights first 8 bytes of the model's hash; both ends must have the same
   * @param {number} frames in every packet; both ends must have the same
   */
  constructor(stream, weights, frames) {
    this.state = CALLING;
    /** The other end's stream; null until it has answered. @type {Stream | null} */
    this.agreed = null;
    /** Whether the other end needs a hello. */
    this.owes = true;
    /**
     * Whether the other end has greeted in the newer form: it understands compact payloads and
     * reports of bursts.
     */
    this.compact = false;
    this._stream = stream;
    this._offer = Uint8Array.of(...weights, frames);
    this._nonce = crypto.getRandomValues(new Uint8Array(NONCE_SIZE));
    /** The other end's nonce. @type {Uint8Array | null} */
    this._theirs = null;
    this._key = deriveKey();
  }

  /** Whether the other end has called. */
  get called() {
    return this._theirs !== null;
  }

  /** What to send now: in both forms, until it is clear that the newer is understood. */
  hellos() {
    return Promise.all((this.compact ? [COMPACT] : [COMPACT, BASIC]).map((form) => this._hello(form)));
  }

  /** @param {Uint8Array} form */
  async _hello(form) {
    const bytes = new Uint8Array(SIZE);
    const view = viewOf(bytes);
    bytes.set(form);
    bytes.set(this._nonce, 4);
    if (this._theirs) bytes.set(this._theirs, 20);
    view.setUint32(36, this._stream.ssrc);
    view.setUint16(40, this._stream.first);
    bytes.set(this._offer, 42);
    view.setUint8(51, this.state);
    const tag = await crypto.subtle.sign("HMAC", await this._key, bytes.subarray(0, 52));
    bytes.set(new Uint8Array(tag), 52);
    return bytes;
  }

  /**
   * A hello has come. One after the other.
   *
   * @param {Uint8Array} data
   * @throws {FormatError} not one, not authentic, or our own come back
   * @throws {ModelError} the other end speaks with another model, packet size or protocol
   */
  async receive(data) {
    const [tag, body] = [data.slice(-TAG_SIZE), data.slice(0, -TAG_SIZE)];
    const authentic = await crypto.subtle.verify("HMAC", await this._key, tag, body);
    if (same(data.subarray(0, 4), OLDER) && authentic) {
      throw new ModelError("the other end runs audiodec 0.7 or older: update it");
    }
    if (data.length !== SIZE) throw new FormatError(`a hello of ${data.length} bytes`);
    const view = viewOf(data);
    const nonce = data.slice(4, 20);
    const answers = same(data.subarray(20, 36), this._nonce);
    const stream = { ssrc: view.getUint32(36), first: view.getUint16(40) };
    const form = data.subarray(0, 4);
    const nobody = nonce.every((byte) => byte === 0);
    if (
      !(same(form, BASIC) || same(form, COMPACT)) || nobody || same(nonce, this._nonce) ||
      stream.ssrc === this._stream.ssrc
    ) {
      throw new FormatError("not the hello of another end");
    }
    if (!authentic) {
      throw new FormatError("a hello made with another key");
    }
    if (!same(nonce, this._theirs)) this._meet(nonce, answers, data.slice(42, 51));
    if (same(nonce, this._theirs)) {
      this.compact ||= same(form, COMPACT);
      if (answers) this._agree(stream, data[51]);
      // One that is sure needs no answer, or two ends would greet each other for ever.
      this.owes = this.state < SURE || data[51] < SURE;
    } else {
      this.owes = this.state < SURE;
    }
  }

  /** A packet of the other end's stream has come: it has agreed. */
  sure() {
    this.state = SURE;
  }

  /**
   * Another end than the one known so far: it takes that one's place, unless that one has agreed and
   * this one, perhaps an old hello, does not even answer.
   *
   * @param {Uint8Array} nonce
   * @param {boolean} answers
   * @param {Uint8Array} offer
   */
  _meet(nonce, answers, offer) {
    if (this.state === SURE || (this.agreed && !answers)) return;
    if (!same(offer, this._offer)) {
      throw new ModelError(
        `the other end speaks with another model, or ${offer[8]} frames a packet where this one ` +
          `has ${this._offer[8]}`,
      );
    }
    this._theirs = nonce;
    this.agreed = null;
    this.state = CALLING;
    this.compact = false;
  }

  /**
   * @param {Stream} stream
   * @param {number} state
   */
  _agree(stream, state) {
    if (!this.agreed) {
      this.agreed = stream;
      this.state = AGREED;
    }
    if (state >= AGREED) this.state = SURE;
  }
}

/** The key of hellos, from an empty secret: HKDF-SHA256 (RFC 5869). */
async function deriveKey() {
  const secret = await crypto.subtle.importKey("raw", new Uint8Array(), "HKDF", false, ["deriveKey"]);
  const info = new TextEncoder().encode("audiodec hello");
  const how = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info };
  const kind = { name: "HMAC", hash: "SHA-256", length: 8 * TAG_SIZE };
  return crypto.subtle.deriveKey(how, secret, kind, false, ["sign", "verify"]);
}

/**
 * @param {Uint8Array} first
 * @param {Uint8Array | null} second
 */
function same(first, second) {
  return second !== null && first.every((byte, i) => byte === second[i]);
}
