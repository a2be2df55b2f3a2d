/** The worker: holds a codec and its streams, and does what the page's end (remote.js) asks. */

import { LiveCall } from "./call/live.js";
import { load } from "./codec.js";
import { onCaptured } from "./live.js";

/** @typedef {import("./codec.js").Codec} Codec */
/** @typedef {import("./worklets.js").Link} Link */

/**
 * @typedef {object} Request
 * @property {number} id of the request, which the answer repeats
 * @property {number} target id of an object; 0 is the desk
 * @property {string} method of it, or `set`, `close`
 * @property {any[]} args
 */

/** @type {Map<number, any>} */
const objects = new Map();

/** What can be asked for before there are streams. */
class Desk {
  /**
   * @param {string} folder
   * @param {import("./runtime.js").RuntimeOptions} options
   */
  async load(folder, options) {
    const progress = (/** @type {import("./model.js").Progress} */ told) =>
      postMessage({ progress: told });
    this.codec = await load(folder, { ...options, progress });
    objects.set(CODEC, this.codec);
    return this.codec.info.data;
  }

  /**
   * @param {number} id
   * @param {"encoder" | "decoder"} kind
   * @param {any} options
   */
  open(id, kind, options) {
    objects.set(id, /** @type {Codec} */ (this.codec)[kind](options));
  }

  /**
   * Code what a microphone captures; packets go to the page.
   *
   * @param {number} id of the encoder
   * @param {Link} link
   */
  listen(id, link) {
    const encoder = objects.get(id);
    onCaptured(link, async (samples) => {
      const packets = await encoder.write(samples);
      if (packets.length) postMessage({ stream: id, packets });
    });
  }

  /**
   * @param {number} id
   * @param {import("./call/endpoint.js").CallOptions} options
   * @param {Link} microphone
   * @param {Link} loudspeaker
   */
  call(id, options, microphone, loudspeaker) {
    const say = (/** @type {import("./call/live.js").Said} */ said) =>
      postMessage({ stream: id, ...said });
    const codec = /** @type {Codec} */ (this.codec);
    objects.set(id, new LiveCall(codec, options, microphone, loudspeaker, say));
  }
}

const CODEC = 1; // its id

objects.set(0, new Desk());

/** @param {Request} request */
function perform({ target, method, args }) {
  const object = objects.get(target);
  if (method === "close") objects.delete(target);
  else if (method === "set") object[args[0]] = args[1];
  else return object[method](...args);
}

self.onmessage = async (/** @type {MessageEvent<Request>} */ { data }) => {
  try {
    postMessage({ id: data.id, result: await perform(data) });
  } catch (thrown) {
    const { name, message } = /** @type {Error} */ (thrown);
    postMessage({ id: data.id, error: { name, message } });
  }
};
