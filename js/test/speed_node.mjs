// The part of recipes/browser_speed.py that runs in Node: model folder, speech as floats, packets.

import { readFileSync } from "node:fs";

import { load } from "../src/index.js";
import { measure } from "./speed.js";

const [model, speech, packets] = process.argv.slice(2);
const samples = new Float32Array(Uint8Array.from(readFileSync(speech)).buffer);
const began = performance.now();
const codec = await load(model);
/** @type {Record<string, any>} */
const found = { load: performance.now() - began };
for (const frames of [1, 3]) found[frames] = await measure(codec, samples, frames, Number(packets));
console.log(JSON.stringify(found));
