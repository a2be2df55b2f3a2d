/** The same sound through Opus, where the browser's WebCodecs have it. */

import { RATE } from "./audio.js";

const LEAST = 6000; // bits per second, Opus goes no lower
const FRAME_US = 20000; // microseconds in a packet

/**
 * @param {Float32Array} samples
 * @param {number} bitrate bits per second
 * @returns {Promise<{audio?: Float32Array, facts: string}>}
 */
export async function opus(samples, bitrate) {
  const config = {
    codec: "opus",
    sampleRate: RATE,
    numberOfChannels: 1,
    bitrate: Math.max(bitrate, LEAST),
    bitrateMode: "constant",
    opus: { application: "voip", signal: "voice", frameDuration: FRAME_US },
  };
  const supported =
    "AudioEncoder" in globalThis &&
    (await AudioEncoder.isConfigSupported(config).catch(() => ({ supported: false }))).supported;
  if (!supported) return { facts: "this browser does not offer it" };
  try {
    const { chunks, description } = await encode(samples, config);
    const audio = await decode(chunks, description, samples.length);
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
    const kbps = (bytes * 8) / 1000 / (samples.length / RATE);
    const least = bitrate < LEAST ? `, the least it offers is ${LEAST / 1000}` : "";
    return { audio, facts: `${kbps.toFixed(1)} kbps measured${least}` };
  } catch (error) {
    return { facts: `this browser's Opus failed: ${error.message}` };
  }
}

async function encode(samples, config) {
  const chunks = [];
  let description;
  const encoder = await run(AudioEncoder, config, (chunk, about) => {
    description ??= about?.decoderConfig?.description;
    chunks.push(chunk);
  });
  // Silence behind the sound: the last of it is in the codec until then.
  const padded = new Float32Array(samples.length + RATE / 10);
  padded.set(samples);
  for (let at = 0; at < padded.length; at += RATE) {
    const piece = padded.subarray(at, at + RATE);
    const data = new AudioData({
      format: "f32-planar",
      sampleRate: RATE,
      numberOfFrames: piece.length,
      numberOfChannels: 1,
      timestamp: (at / RATE) * 1e6,
      data: piece,
    });
    encoder.encode(data);
    data.close();
  }
  await encoder.finish();
  return { chunks, description };
}

async function decode(chunks, description, length) {
  const pieces = [];
  const config = { codec: "opus", sampleRate: RATE, numberOfChannels: 1 };
  const decoder = await run(AudioDecoder, config, (data) => {
    const piece = new Float32Array(data.numberOfFrames);
    data.copyTo(piece, { planeIndex: 0, format: "f32-planar" });
    data.close();
    pieces.push(piece);
  });
  for (const chunk of chunks) decoder.decode(chunk);
  await decoder.finish();
  const audio = new Float32Array(length);
  let at = -preSkip(description);
  for (const piece of pieces) {
    if (at < length && at + piece.length > 0) {
      const from = Math.max(0, -at);
      audio.set(piece.subarray(from, Math.max(from, length - at)), Math.max(0, at));
    }
    at += piece.length;
  }
  return audio;
}

/** Samples that the encoder says come before the sound (RFC 7845, section 5.1). */
function preSkip(description) {
  if (!description) return 0;
  const bytes = ArrayBuffer.isView(description)
    ? new DataView(description.buffer, description.byteOffset, description.byteLength)
    : new DataView(description);
  return bytes.byteLength >= 12 ? bytes.getUint16(10, true) : 0;
}

/** A codec whose `finish` waits for all output, and throws what went wrong. */
async function run(Kind, config, output) {
  let failure = null;
  const codec = new Kind({ output, error: (error) => (failure = error) });
  codec.configure(config);
  codec.finish = async () => {
    if (!failure) await codec.flush().catch((error) => (failure ??= error));
    if (codec.state !== "closed") codec.close();
    if (failure) throw failure;
  };
  return codec;
}
