/** Tensors out of a safetensors file; bounds are checked before anything is read. */

import { ModelError } from "./errors.js";

/**
 * @param {Uint8Array} file
 * @param {string} name
 * @param {number[]} shape that the tensor must have
 * @returns {Float32Array}
 * @throws {ModelError} it is missing, or has another shape or type
 */
export function readTensor(file, name, shape) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const size = file.length >= 8 ? Number(view.getBigUint64(0, true)) : Infinity;
  if (size > file.length - 8) throw new ModelError("the weights are no safetensors file");
  const head = new TextDecoder().decode(file.subarray(8, 8 + size));
  let entry;
  try {
    entry = JSON.parse(head)[name];
  } catch {
    throw new ModelError("the weights are no safetensors file");
  }
  const [begin, end] = entry?.data_offsets ?? [0, 0];
  const values = shape.reduce((product, x) => product * x, 1);
  const fits =
    entry?.dtype === "F32" &&
    JSON.stringify(entry.shape) === JSON.stringify(shape) &&
    end - begin === 4 * values &&
    begin >= 0 &&
    8 + size + end <= file.length;
  if (!fits) throw new ModelError(`the weights hold no ${name} of float32 [${shape}]`);
  return new Float32Array(file.slice(8 + size + begin, 8 + size + end).buffer);
}
