import assert from "node:assert/strict";
import { test } from "node:test";

import { FormatError, PacketFormat } from "../src/index.js";

const format = new PacketFormat(3, 8, 10, 320, 48000);

/** @param {number} codebooks */
function someCodes(codebooks) {
  return Array.from({ length: codebooks }, (_, i) =>
    Uint16Array.from({ length: 3 }, (_, t) => (i * 391 + t * 177 + 5) % 1024),
  );
}

test("a packet gives its codes back, whatever the bitrate", () => {
  for (let codebooks = 1; codebooks <= 8; codebooks++) {
    const codes = someCodes(codebooks);
    const packet = format.pack(codes);
    assert.equal(packet.length, format.size(codebooks));
    assert.deepEqual(format.unpack(packet), codes);
  }
});

test("codes of 16 bits fill their bytes", () => {
  const wide = new PacketFormat(2, 2, 16, 320, 48000);
  const codes = [Uint16Array.of(65535, 1), Uint16Array.of(256, 32768)];
  assert.deepEqual(wide.pack(codes), Uint8Array.of(255, 255, 1, 0, 0, 1, 128, 0));
  assert.deepEqual(wide.unpack(wide.pack(codes)), codes);
});

test("bytes that are no packet are refused", () => {
  const packet = format.pack(someCodes(1)); // 30 bits: two of padding
  assert.throws(() => format.unpack(packet.subarray(1)), FormatError);
  assert.throws(() => format.unpack(new Uint8Array(31)), FormatError);
  packet[3] |= 1;
  assert.throws(() => format.unpack(packet), /padding bits/);
  assert.throws(() => format.pack([Uint16Array.of(1024)]), /0\.\.1023/);
});
