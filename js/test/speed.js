/**
 * How long packets take to encode and to decode; for recipes/browser_speed.py, in Node and in pages.
 *
 * @param {import("../src/codec.js").Codec} codec
 * @param {Float32Array} speech
 * @param {number} framesPerPacket
 * @param {number} packets that are timed, after as many that are not
 * @returns {Promise<{encode: number[], decode: number[]}>} ms
 */
export async function measure(codec, speech, framesPerPacket, packets) {
  const encoder = codec.encoder({ framesPerPacket });
  const decoder = codec.decoder({ framesPerPacket });
  const size = framesPerPacket * codec.hop;
  /** @type {{encode: number[], decode: number[]}} */
  const times = { encode: [], decode: [] };
  for (let i = 0; i < 2 * packets; i++) {
    const at = (i * size) % (speech.length - size);
    const start = performance.now();
    const [packet] = await encoder.write(speech.subarray(at, at + size));
    const coded = performance.now();
    await decoder.decode(packet);
    if (i < packets) continue; // WebAssembly is compiled better while it runs
    times.encode.push(coded - start);
    times.decode.push(performance.now() - coded);
  }
  return times;
}
