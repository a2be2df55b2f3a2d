// The JavaScript end of tests/test_js.py: does with a model what it reads on stdin, and says what
// came out on stdout; numbers as base64 of their bytes.

import { load } from "../src/index.js";

const base64 = (/** @type {any} */ array) =>
  Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString("base64");
const bytes = (/** @type {string} */ text) => new Uint8Array(Buffer.from(text, "base64"));

let text = "";
for await (const piece of process.stdin) text += piece;
const task = JSON.parse(text);
const codec = await load(task.model);
const framesPerPacket = task.frames_per_packet;
const speech = new Float32Array(bytes(task.speech).buffer);

const decoder = codec.decoder({ framesPerPacket });
const heard = [];
const optional = (/** @type {string | null} */ text) => (text === null ? null : bytes(text));
for (const { packet, coarse, ahead } of task.packets) {
  const arrived = { coarse, ahead: ahead.map(optional) };
  heard.push(base64(await decoder.decode(optional(packet), arrived)));
}

const encoder = codec.encoder({ framesPerPacket });
const packets = [];
for (const [i, at] of task.pieces.entries()) {
  encoder.numCodebooks = (i % codec.info.codebooks) + 1;
  packets.push(...(await encoder.write(speech.subarray(at, task.pieces[i + 1]))));
}

const numCodebooks = task.num_codebooks;
const file = await codec.encodeFile([speech], { numCodebooks });
const read = await codec.decodeFile(bytes(task.file));
const codes = await codec.encode(speech);
console.log(
  JSON.stringify({
    heard,
    packets: packets.map(base64),
    file: base64(file),
    read: base64(read.channels[0]),
    damage: read.damage,
    codes: codes.map(base64),
    decoded: base64(await codec.decode(codes, { length: speech.length })),
  }),
);
