/** Microphone and loudspeaker of a page: AudioWorklets, linked to the worker. */

import { ConfigError } from "./errors.js";
import { Ring } from "./worklets.js";

/** @typedef {import("./worklets.js").Link} Link */

/**
 * A processor in the context's audio thread, and the link that the worker needs.
 *
 * @param {AudioContext} context
 * @param {import("./config.js").ModelInfo} info
 * @param {string} name
 * @param {AudioWorkletNodeOptions} options
 * @returns {Promise<{node: AudioWorkletNode, link: Link}>}
 * @throws {ConfigError} the context's rate is not the model's
 */
async function start(context, info, name, options) {
  if (context.sampleRate !== info.sampleRate || info.channels !== 1) {
    throw new ConfigError(
      `live sound of this model needs new AudioContext({ sampleRate: ${info.sampleRate} }), ` +
        "and one channel",
    );
  }
  await context.audioWorklet.addModule(new URL("./worklets.js", import.meta.url));
  const node = new AudioWorkletNode(context, name, {
    channelCount: 1,
    channelCountMode: "explicit",
    ...options,
  });
  const { port1, port2 } = new MessageChannel();
  const buffer = Ring.buffer(globalThis.crossOriginIsolated === true);
  node.port.postMessage({ port: port1, buffer }, [port1]);
  return { node, link: { port: port2, buffer } };
}

/** What a microphone captures, on its way to a worker. */
export class Microphone {
  /**
   * @param {AudioContext} context
   * @param {MediaStream} stream
   * @param {import("./config.js").ModelInfo} info
   * @param {number} batch samples between two messages
   */
  static async open(context, stream, info, batch) {
    const { node, link } = await start(context, info, "audiodec-capture", {
      processorOptions: { batch },
    });
    return new Microphone(context, stream, node, link);
  }

  /**
   * @param {AudioContext} context
   * @param {MediaStream} stream
   * @param {AudioWorkletNode} node
   * @param {Link} link
   */
  constructor(context, stream, node, link) {
    this.link = link;
    this._node = node;
    this._context = context;
    this._source = context.createMediaStreamSource(stream);
    this._gain = context.createGain();
    /** Where a page may look at the level, e.g. with an AnalyserNode: behind `muted`. */
    this.output = this._gain;
    this._source.connect(this._gain).connect(node).connect(context.destination); // which plays silence
  }

  /** Whether silence is sent instead of what is captured. */
  get muted() {
    return this._gain.gain.value === 0;
  }

  set muted(value) {
    this._gain.gain.value = value ? 0 : 1;
  }

  /**
   * Go on with another device.
   *
   * @param {MediaStream} stream
   */
  use(stream) {
    this._source.disconnect();
    this._source = this._context.createMediaStreamSource(stream);
    this._source.connect(this._gain);
  }

  /** Stop capturing. The MediaStream is the caller's to stop. */
  close() {
    this._source.disconnect();
    this._gain.disconnect();
    this._node.disconnect();
    this._node.port.postMessage(null);
  }
}

/** What a worker plays. */
export class Loudspeaker {
  /**
   * @param {AudioContext} context
   * @param {import("./config.js").ModelInfo} info
   * @param {number} batch samples between two messages
   */
  static async open(context, info, batch) {
    const { node, link } = await start(context, info, "audiodec-playback", {
      numberOfInputs: 0,
      outputChannelCount: [1],
      processorOptions: { batch },
    });
    return new Loudspeaker(node, link);
  }

  /**
   * @param {AudioWorkletNode} node
   * @param {Link} link
   */
  constructor(node, link) {
    this.link = link;
    /** To be connected to what is to be heard, e.g. `context.destination`. */
    this.output = node;
  }

  close() {
    this.output.disconnect();
    this.output.port.postMessage(null);
  }
}
