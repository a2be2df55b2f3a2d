// Opus packets on stdin, each after its length (uint32, little-endian) -> float32 samples, stdout.
import { readFileSync, writeSync } from "node:fs";
import { pathToFileURL } from "node:url";

process.on("uncaughtException", (error) => {
  console.error(error.message);
  process.exit(1);
});

const { OpusMLDecoder } = await import(pathToFileURL(process.argv[2]));
const decoder = new OpusMLDecoder({ channels: 1, speechQualityEnhancement: "nolace" });
await decoder.ready;

const input = readFileSync(0);
const packets = [];
for (let at = 0; at < input.length; ) {
  const size = input.readUInt32LE(at);
  packets.push(new Uint8Array(input.subarray(at + 4, at + 4 + size)));
  at += 4 + size;
}
const { channelData, errors } = decoder.decodeFrames(packets);
if (errors.length) throw new Error(errors[0].message);

const { buffer, byteOffset, byteLength } = channelData[0];
const samples = new Uint8Array(buffer, byteOffset, byteLength);
for (let at = 0; at < samples.length; ) at += writeSync(1, samples, at);
