import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Header, HEADER_SIZE, Writer } from "../src/container.js";
import { Reader } from "../src/reader.js";

const PAGE = new URL("../../docs/format.md", import.meta.url);

/** The file that docs/format.md writes by hand. */
function fileByHand() {
  const [, block] = readFileSync(PAGE, "utf8").split("```hex\n");
  const digits = block.split("```")[0].replace(/#.*$/gm, "").replace(/\s/g, "");
  return new Uint8Array(Buffer.from(digits, "hex"));
}

test("the file that docs/format.md writes by hand is read, and written the same", () => {
  const file = fileByHand();
  const reader = new Reader(file);
  const codes = [Uint16Array.of(1, 1023), Uint16Array.of(512, 0)];
  assert.deepEqual([...reader.blocks()], [{ frames: 2, codes: [codes] }]);
  assert.equal(reader.samples, 600);
  assert.equal(reader.damage, "");
  const writer = new Writer(Header.fromBytes(file));
  writer.writeBlock([codes]);
  assert.deepEqual(writer.finish(600), file);
});

test("a lost block keeps its place, and a missing end is told", () => {
  const header = new Header({ ...Header.fromBytes(fileByHand()), blockFrames: 4 });
  const writer = new Writer(header);
  const codes = [0, 1, 2].map((i) => [0, 1].map((j) => new Uint16Array(4).fill(10 * i + j)));
  codes.forEach((block) => writer.writeBlock([block]));
  const file = writer.finish(3 * 4 * 320);
  file[HEADER_SIZE + header.blockSize + 8] ^= 1;
  const reader = new Reader(file);
  assert.deepEqual(
    [...reader.blocks()].map((block) => block.codes),
    [[codes[0]], null, [codes[2]]],
  );
  assert.match(reader.damage, /1 of 3 blocks are lost/);
  assert.match(new Reader(file.subarray(0, file.length - 1)).damage, /truncated/);
});

test("a header that is none is refused", () => {
  const file = fileByHand();
  assert.throws(() => new Reader(new Uint8Array(3)), /not an \.adc file/);
  assert.throws(() => new Reader(file.subarray(0, 40)), /ends inside its header/);
  file[20] ^= 1;
  assert.throws(() => new Reader(file), /damaged/);
});
