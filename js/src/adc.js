/** Sound to `.adc` files and back. */

import { checkSignal, checkWhole, countCodebooks } from "./checks.js";
import { Playback } from "./concealment.js";
import { Header, Writer, framesPerBlock } from "./container.js";
import { AudioError, FormatError, ModelError } from "./errors.js";
import { Reader } from "./reader.js";

/** @typedef {import("./codec.js").Codec} Codec */

/**
 * @typedef {object} DecodedFile
 * @property {Float32Array[]} channels sound at the model's rate
 * @property {number} sampleRate Hz of it
 * @property {number} originalRate Hz of what was coded: resample to this, where it matters
 * @property {number | null} originalSamples its exact length; null where the file's end is missing
 * @property {string} damage what is wrong with the file, in one line; empty where nothing is
 */

/**
 * @typedef {object} FileOptions
 * @property {number} [bitrate] kbps, one of `Codec.bitrates`; the highest if not given
 * @property {number} [numCodebooks] how many codebooks to code with, instead of a bitrate
 * @property {number} [originalRate] Hz that the sound had before it was resampled, to which other
 *   decoders return; the model's rate if not given
 * @property {number} [originalSamples] its exact length at that rate
 */

/**
 * Code channels to an `.adc` file.
 *
 * @param {Codec} codec
 * @param {Float32Array[]} channels sound at the model's rate, 1 to 64 times as many as the model
 *   codes together
 * @param {FileOptions} [options]
 * @returns {Promise<Uint8Array>}
 */
export async function encodeFile(codec, channels, options = {}) {
  const { info } = codec;
  const { originalRate = info.sampleRate } = options;
  const count = countCodebooks(info, options);
  checkWhole(channels.length / info.channels, "the number of streams", 1, 64);
  const length = channels[0].length;
  if (!length || channels.some((channel) => channel.length !== length)) {
    throw new AudioError("channels must be equally long, and hold sound");
  }
  const samples = Math.round((length * originalRate) / info.sampleRate);
  const header = new Header({
    modelId: info.id,
    weightsHash: info.weightsHash,
    modelRate: info.sampleRate,
    rate: checkWhole(originalRate, "originalRate", 1000, 768000),
    streams: channels.length / info.channels,
    hop: info.hop,
    codebooks: count,
    bits: info.codeBits,
    blockFrames: framesPerBlock(info.sampleRate, info.hop),
  });
  const streams = [];
  for (let i = 0; i < channels.length; i += info.channels) {
    const signal = checkSignal(channels.slice(i, i + info.channels), info.channels);
    streams.push(await codec.encode(signal, { numCodebooks: count }));
  }
  const writer = new Writer(header);
  const { blockFrames } = header;
  for (let at = 0; at < streams[0][0].length; at += blockFrames) {
    writer.writeBlock(streams.map((codes) => codes.map((row) => row.subarray(at, at + blockFrames))));
  }
  return writer.finish(options.originalSamples ?? samples);
}

/**
 * Decode an `.adc` file. Lost blocks are concealed, and told.
 *
 * @param {Codec} codec
 * @param {Uint8Array} file
 * @returns {Promise<DecodedFile>}
 * @throws {FormatError} it is no `.adc` file, or nothing in it is whole
 * @throws {ModelError} it was made with another model
 */
export async function decodeFile(codec, file) {
  const { info } = codec;
  const reader = new Reader(file);
  const { header } = reader;
  checkModel(codec, header);
  if (!reader.blocksWhole && (reader.damage || !reader.samples)) {
    throw new FormatError("the file holds no whole block: nothing can be decoded");
  }
  const full = reader.frames * info.hop;
  const length =
    reader.samples === null ? full : Math.round((reader.samples * info.sampleRate) / header.rate);
  const channels = Array.from(
    { length: header.streams * info.channels },
    () => new Float32Array(Math.max(length, full)),
  );
  const playbacks = Array.from({ length: header.streams }, () => new Playback(codec.runtime));
  let at = 0;
  for (const { frames, codes } of reader.blocks()) {
    for (const [stream, playback] of playbacks.entries()) {
      const piece = await (codes ? playback.play(codes[stream]) : playback.conceal(frames));
      piece.forEach((channel, i) => channels[stream * info.channels + i].set(channel, at));
    }
    at += frames * info.hop;
  }
  return {
    channels: channels.map((channel) => channel.subarray(0, length)),
    sampleRate: info.sampleRate,
    originalRate: header.rate,
    originalSamples: reader.samples,
    damage: reader.damage,
  };
}

/**
 * @param {Codec} codec
 * @param {Header} header
 * @throws {ModelError} unless the file was made with this model's weights
 */
function checkModel({ info }, header) {
  const hash = info.weightsHash;
  if (header.weightsHash.some((byte, i) => byte !== hash[i])) {
    const hex = (/** @type {Uint8Array} */ bytes) =>
      Array.from(bytes, (x) => x.toString(16).padStart(2, "0")).join("");
    throw new ModelError(
      `the file was made with model ${header.modelId} (weights ${hex(header.weightsHash)}), ` +
        `not ${info.id} (${hex(hash)})`,
    );
  }
  if (
    header.modelRate !== info.sampleRate ||
    header.hop !== info.hop ||
    header.bits !== info.codeBits ||
    header.codebooks > info.codebooks
  ) {
    throw new FormatError("the file's header contradicts the model it names");
  }
}
