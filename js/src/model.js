/** A model folder at a URL -> checked files, from the cache where they have been before. */

import { INFO, ModelInfo } from "./config.js";
import { ModelError } from "./errors.js";

const CACHE = "audiodec";
const MAX_FILE_BYTES = 1 << 30;
const MAX_INFO_BYTES = 1 << 16;

/**
 * How far loading is.
 *
 * @typedef {object} Progress
 * @property {number} loaded bytes of the model's files so far
 * @property {number | null} total bytes of all files; null while a server does not tell
 */

/**
 * @typedef {object} Model
 * @property {ModelInfo} info
 * @property {Record<string, Uint8Array>} files by name, each as its SHA-256 says
 */

/**
 * Read a model folder.
 *
 * @param {string | URL} folder in browsers a URL, in Node also a path
 * @param {(progress: Progress) => void} [progress] called as bytes arrive
 * @returns {Promise<Model>}
 * @throws {ModelError} there is no model, or a file differs from its hash
 */
export async function readModel(folder, progress = () => {}) {
  const base = folderUrl(folder);
  const text = new TextDecoder().decode(await read(new URL(INFO, base), MAX_INFO_BYTES));
  let data;
  try {
    data = JSON.parse(text);
  } catch {
    throw new ModelError(`${new URL(INFO, base)} is no JSON: is ${folder} a model folder?`);
  }
  const info = new ModelInfo(data);
  const { names } = info;
  const parts = names.map(() => ({ loaded: 0, total: /** @type {number | null} */ (null) }));
  const told = () => {
    const totals = parts.map((part) => part.total);
    const total = totals.reduce((sum, x) => (sum === null || x === null ? null : sum + x), 0);
    progress({ loaded: parts.reduce((sum, part) => sum + part.loaded, 0), total });
  };
  const contents = await Promise.all(
    names.map((name, i) =>
      readChecked(new URL(name, base), info.files[name], (loaded, total) => {
        parts[i] = { loaded, total };
        told();
      }),
    ),
  );
  return { info, files: Object.fromEntries(names.map((name, i) => [name, contents[i]])) };
}

/** @param {string | URL} folder */
function folderUrl(folder) {
  const page = /** @type {any} */ (globalThis).location?.href ?? `file://${nodeDirectory()}/`;
  const url = new URL(folder, page);
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url;
}

/** @returns {string} */
function nodeDirectory() {
  return encodeURI(/** @type {any} */ (globalThis).process?.cwd() ?? "");
}

/** @typedef {(loaded: number, total: number | null) => void} FileProgress */

/**
 * @param {URL} url
 * @param {string} hash SHA-256, hexadecimal
 * @param {FileProgress} progress
 */
async function readChecked(url, hash, progress) {
  const cache = await openCache(url);
  const key = `${url.origin}${url.pathname}?sha256=${hash}`;
  const kept = await cache?.match(key);
  if (kept) {
    const bytes = new Uint8Array(await kept.arrayBuffer());
    if ((await sha256(bytes)) === hash) {
      progress(bytes.length, bytes.length);
      return bytes;
    }
  }
  const bytes = await read(url, MAX_FILE_BYTES, progress);
  if ((await sha256(bytes)) !== hash) {
    throw new ModelError(`${url} is damaged or changed (SHA-256 differs from ${INFO})`);
  }
  if (cache) await keep(cache, key, bytes);
  return bytes;
}

/**
 * The cache of verified files, where there is one: pages that are neither HTTPS nor localhost, and
 * Node, have none.
 *
 * @param {URL} url
 * @returns {Promise<Cache | undefined>}
 */
async function openCache(url) {
  if (!url.protocol.startsWith("http")) return undefined;
  return globalThis.caches?.open(CACHE).catch(() => undefined);
}

/**
 * Put a file in the cache, in place of what had its address before.
 *
 * @param {Cache} cache
 * @param {string} key
 * @param {Uint8Array} bytes
 */
async function keep(cache, key, bytes) {
  try {
    await cache.delete(key, { ignoreSearch: true });
    await cache.put(key, new Response(/** @type {any} */ (bytes)));
  } catch {
    // No room: the file is read again next time.
  }
}

/**
 * @param {URL} url
 * @param {number} most bytes
 * @param {FileProgress} [progress]
 * @returns {Promise<Uint8Array>}
 */
async function read(url, most, progress = () => {}) {
  if (url.protocol === "file:") {
    const bytes = await readFromDisk(url);
    progress(bytes.length, bytes.length);
    return bytes;
  }
  const response = await fetch(url).catch((/** @type {Error} */ error) => {
    throw new ModelError(`${url} cannot be read: ${error.message}`);
  });
  if (!response.ok || !response.body) {
    throw new ModelError(`${url} cannot be read: ${response.status} ${response.statusText}`);
  }
  // Of compressed bytes the header says nothing about how many come out.
  const compressed = response.headers.has("content-encoding");
  const length = Number(response.headers.get("content-length"));
  const total = length && !compressed ? length : null;
  const pieces = [];
  let loaded = 0;
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value);
    loaded += value.length;
    if (loaded > most) {
      await reader.cancel();
      throw new ModelError(`${url} is longer than ${most} bytes`);
    }
    progress(loaded, total);
  }
  progress(loaded, loaded);
  const bytes = new Uint8Array(loaded);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/**
 * In Node, whose `fetch` reads no files.
 *
 * @param {URL} url
 * @returns {Promise<Uint8Array>}
 */
async function readFromDisk(url) {
  // Not an import, which bundlers for browsers would follow.
  const fs = /** @type {any} */ (globalThis).process?.getBuiltinModule?.("node:fs/promises");
  if (!fs) throw new ModelError(`${url} cannot be read: serve the model folder over HTTP`);
  try {
    return new Uint8Array(await fs.readFile(url));
  } catch (error) {
    throw new ModelError(`${url} cannot be read: ${/** @type {Error} */ (error).message}`);
  }
}

/**
 * @param {Uint8Array} bytes
 * @returns {Promise<string>} hexadecimal
 */
async function sha256(bytes) {
  if (!globalThis.crypto?.subtle) {
    throw new ModelError("the model cannot be verified: serve the page over HTTPS or localhost");
  }
  const digest = await crypto.subtle.digest("SHA-256", /** @type {any} */ (bytes));
  return Array.from(new Uint8Array(digest), (x) => x.toString(16).padStart(2, "0")).join("");
}
