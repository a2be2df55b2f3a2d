/** The page's end of a call: microphone and loudspeaker here, everything else in the worker. */

import { clock } from "../live.js";
import { Loudspeaker, Microphone } from "../sound.js";

/** @typedef {import("./live.js").CallState} CallState */
/** @typedef {import("../remote.js").Line} Line */

/**
 * @typedef {object} Parts
 * @property {AudioContext} context at the model's rate
 * @property {MediaStream} stream the microphone, as `getUserMedia` gives it
 * @property {(datagram: Uint8Array) => void} send takes what is to go to the other end, e.g. by an
 *   unordered RTCDataChannel without retransmission
 * @property {(state: CallState) => void} [onState] is told when the call's state changes
 * @property {(error: Error) => void} [onError] is told why the call cannot go on
 */

/** A call, made by `RemoteCodec.call`. */
export class RemoteCall {
  /**
   * @param {Line} line
   * @param {import("../config.js").ModelInfo} info
   * @param {Parts} parts
   * @param {import("./endpoint.js").CallOptions} options
   */
  static async open(line, info, { context, stream, send, onState, onError }, options) {
    const size = (options.framesPerPacket ?? 3) * info.hop;
    const microphone = await Microphone.open(context, stream, info, size);
    const loudspeaker = await Loudspeaker.open(context, info, size);
    const call = new RemoteCall(line, microphone, loudspeaker);
    line.listeners.set(call._id, ({ datagrams, state, error }) => {
      for (const datagram of datagrams ?? []) send(datagram);
      if (state) onState?.((call.state = state));
      if (error) onError?.(line.error(error));
    });
    const links = [microphone.link, loudspeaker.link];
    await line.ask(0, "call", [call._id, options, ...links], links.map(({ port }) => port));
    loudspeaker.output.connect(context.destination);
    return call;
  }

  /**
   * @param {Line} line
   * @param {Microphone} microphone
   * @param {Loudspeaker} loudspeaker
   */
  constructor(line, microphone, loudspeaker) {
    this._line = line;
    this._id = line.next();
    /** Mute it here, or give it another stream. */
    this.microphone = microphone;
    /** Its `output` plays at `context.destination`, and may be connected to more. */
    this.loudspeaker = loudspeaker;
    /** How far the call is. @type {CallState} */
    this.state = { connected: false, left: false, hungUp: false, gone: false };
  }

  /**
   * A datagram has come from the other end.
   *
   * @param {Uint8Array | ArrayBuffer} datagram
   */
  receive(datagram) {
    const bytes = datagram instanceof Uint8Array ? datagram : new Uint8Array(datagram);
    this._line.ask(this._id, "receive", [bytes, clock()]);
  }

  /**
   * What happened so far, in the words of docs/call.md.
   *
   * @returns {Promise<ReturnType<import("./endpoint.js").Endpoint["summary"]>>}
   */
  summary() {
    return this._line.ask(this._id, "summary", []);
  }

  /** Nothing more is spoken; what the other end says is still heard. @returns {Promise<void>} */
  end() {
    return this._line.ask(this._id, "end", []);
  }

  /** The call is over: the other end is told, and nothing is captured or played any more. */
  async hangUp() {
    await this._line.ask(this._id, "hangUp", []);
    await this._line.ask(this._id, "close", []);
    this._line.listeners.delete(this._id);
    this.microphone.close();
    this.loudspeaker.close();
  }
}
