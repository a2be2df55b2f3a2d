import assert from "node:assert/strict";
import { copyFile, cp, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { AudioError, ConfigError, FormatError, load, ModelError } from "../src/index.js";

const MODEL = fileURLToPath(new URL("../../src/audiodec/models/speech-48k", import.meta.url));
const codec = await load(MODEL);
const sound = Float32Array.from(
  { length: 10_000 },
  (_, i) => 0.3 * Math.sin(i * 0.05) * Math.sin(i * 0.0007),
);

/** @param {Float32Array[]} pieces */
function joined(pieces) {
  return Float32Array.from(pieces.flatMap((piece) => [...piece]));
}

/** @param {Float32Array} a @param {Float32Array} b */
function assertClose(a, b) {
  assert.equal(a.length, b.length);
  assert.ok(a.every((x, i) => Math.abs(x - b[i]) <= 1e-4));
}

test("loading tells how far it is", async () => {
  /** @type {import("../src/model.js").Progress[]} */
  const told = [];
  await load(MODEL, { progress: (progress) => told.push(progress) });
  const last = told[told.length - 1];
  assert.equal(last.loaded, last.total);
});

test("streams in any pieces give the packets and the sound of the whole signal", async () => {
  const codes = await codec.encode(sound);
  const whole = await codec.decode(codes, { length: sound.length });
  assert.equal(whole.length, sound.length);
  for (const framesPerPacket of [1, 3]) {
    const encoder = codec.encoder({ framesPerPacket });
    const decoder = codec.decoder({ framesPerPacket });
    const calls = [];
    for (let at = 0, size = 1; at < sound.length; at += size, size = (size * 7) % 1009) {
      calls.push(encoder.write(sound.subarray(at, at + size))); // not awaited: order is kept
    }
    const packets = [...(await Promise.all(calls)).flat(), ...(await encoder.drain())];
    const heard = await Promise.all(packets.map((packet) => decoder.decode(packet)));
    assertClose(joined(heard).subarray(0, sound.length), whole);
    assert.deepEqual(await encoder.drain(), []);
  }
});

test("the bitrate changes on the way", async () => {
  const encoder = codec.encoder({ bitrate: 12 });
  const [first] = await encoder.write(sound.subarray(0, codec.hop));
  encoder.bitrate = 3;
  const [second] = await encoder.write(sound.subarray(codec.hop, 2 * codec.hop));
  assert.deepEqual([first.length, second.length], [10, 3]);
  const decoder = codec.decoder();
  for (const packet of [first, second]) {
    assert.equal((await decoder.decode(packet)).length, codec.hop);
  }
});

test("a loss before the first packet is silence, later it fades out and back in", async () => {
  const encoder = codec.encoder({ framesPerPacket: 3 });
  const decoder = codec.decoder({ framesPerPacket: 3 });
  const packets = await encoder.write(sound);
  assert.ok((await decoder.decode(null)).every((/** @type {number} */ x) => x === 0));
  for (const packet of packets) await decoder.decode(packet);
  const level = (/** @type {any} */ heard) => Math.hypot(...heard);
  const fading = [];
  for (let i = 0; i < 9; i++) fading.push(level(await decoder.decode(null)));
  assert.ok(fading[0] > 0);
  assert.equal(fading[8], 0); // after 180 ms
  assert.ok(level(await decoder.decode(packets[5])) > 0);
});

test("a file gives its sound back, and says what is lost", async () => {
  const file = await codec.encodeFile([sound, sound.map((x) => -x)], { bitrate: 6 });
  const read = await codec.decodeFile(file);
  assert.deepEqual([read.channels.length, read.damage], [2, ""]);
  const codes = await codec.encode(sound, { bitrate: 6 });
  assertClose(read.channels[0], await codec.decode(codes, { length: sound.length }));
  const cut = await codec.decodeFile(file.subarray(0, file.length - 3));
  assert.match(cut.damage, /truncated/);
  assert.equal(cut.channels[0].length, Math.ceil(sound.length / codec.hop) * codec.hop);
});

test("what cannot be meant is refused, and the stream is as before", async () => {
  const encoder = codec.encoder();
  const bad = /** @type {any} */ ([1, 2]);
  await assert.rejects(encoder.write(bad), AudioError);
  await assert.rejects(encoder.write(Float32Array.of(NaN)), /not finite/);
  await assert.rejects(encoder.write(Float32Array.of(3000)), /divide 16-bit/);
  assert.deepEqual(await encoder.drain(), []);
  assert.throws(() => codec.encoder({ bitrate: 7 }), ConfigError);
  assert.throws(() => codec.encoder({ bitrate: 3, numCodebooks: 8 }), /give one of the two/);
  assert.throws(() => codec.decoder({ framesPerPacket: 0 }), ConfigError);
  await assert.rejects(codec.decoder().decode(new Uint8Array(6)), FormatError);
  await assert.rejects(codec.decode([Uint16Array.of(1024)]), /0\.\.1023/);
  await assert.rejects(codec.decode([Uint16Array.of(1)], { length: 321 }), /fewer than/);
});

test("a damaged or missing model is refused with the file's name", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "audiodec-"));
  await assert.rejects(load(folder), ModelError);
  await cp(MODEL, folder, { recursive: true });
  await writeFile(path.join(folder, "decoder.wasm.onnx"), "damaged");
  await assert.rejects(load(folder), /decoder\.wasm\.onnx is damaged or changed/);
  await copyFile(path.join(MODEL, "MODEL_CARD.md"), path.join(folder, "model.json"));
  await assert.rejects(load(folder), /is no JSON/);
});
