// The JavaScript end of tests/test_js_call.py: one end of a call, step by step. A line of JSON on
// stdin is a packet time, and so is the answer on stdout.

import readline from "node:readline";

import { Endpoint, load } from "../src/index.js";

const base64 = (/** @type {any} */ array) =>
  Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString("base64");
const bytes = (/** @type {string} */ text) => new Uint8Array(Buffer.from(text, "base64"));

const [model, options] = process.argv.slice(2);
const endpoint = new Endpoint(await load(model), JSON.parse(options));
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { now, datagrams, samples, end } = JSON.parse(line);
  let refused = null;
  for (const datagram of datagrams) {
    await endpoint.receive(bytes(datagram), now).catch((error) => (refused = error.message));
  }
  if (end) endpoint.end();
  const spoken = await endpoint.write(new Float32Array(bytes(samples).buffer));
  const due = await endpoint.poll(now);
  console.log(
    JSON.stringify({
      datagrams: [...spoken, ...due].map(base64),
      sound: base64(await endpoint.pull(now)),
      summary: endpoint.summary(now),
      refused,
    }),
  );
}
