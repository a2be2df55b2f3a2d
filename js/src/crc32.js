/** CRC-32 as in zlib: polynomial 0xEDB88320, reflected. */

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/**
 * @param {Uint8Array} bytes
 * @param {number} [crc] of what came before
 * @returns {number} unsigned, 32 bits
 */
export function crc32(bytes, crc = 0) {
  crc = ~crc;
  for (const byte of bytes) crc = (crc >>> 8) ^ TABLE[(crc ^ byte) & 255];
  return ~crc >>> 0;
}
