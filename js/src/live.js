/** The worker's end of the AudioWorklets: captured samples in, sound to be played out. */

import { Ring } from "./worklets.js";

/** @typedef {import("./worklets.js").Link} Link */

/**
 * Hand over what a microphone captures, as it comes.
 *
 * @param {Link} link
 * @param {(samples: Float32Array) => void} listener
 */
export function onCaptured({ port, buffer }, listener) {
  const ring = new Ring(buffer);
  port.onmessage = ({ data }) => {
    let samples = data;
    if (samples === null) {
      samples = new Float32Array(ring.length);
      ring.read(samples);
    }
    listener(samples);
  };
}

/**
 * Keep a loudspeaker supplied, by its own clock.
 *
 * @param {Link} link
 * @param {number} lead samples of silence ahead of the first sound: the time there is to make more
 * @param {(missing: number) => Promise<Float32Array>} pull asked for a batch whenever one has been
 *   played, and told how many samples were missing in that
 */
export function supply({ port, buffer }, lead, pull) {
  const shared = !(buffer instanceof ArrayBuffer);
  const ring = new Ring(buffer);
  const send = (/** @type {Float32Array} */ samples) => {
    if (shared) ring.write(samples);
    else port.postMessage(samples, [samples.buffer]);
  };
  send(new Float32Array(lead));
  port.onmessage = async ({ data: missing }) => {
    const samples = await pull(missing);
    if (samples.length) send(samples);
  };
}
