/** A sound coded once, with all codebooks: a bitrate is how many of them are decoded. */

const FRAMES = 3; // in a packet
const PIECE = 50; // packets between two looks at the progress

export class Coded {
  /**
   * @param {import("./audiodec/index.js").RemoteCodec} codec
   * @param {Float32Array} samples
   * @param {() => boolean} current false: nobody wants it any more
   * @param {(part: number) => void} progress
   * @returns {Promise<Coded | null>}
   */
  static async of(codec, samples, current, progress) {
    const started = performance.now();
    const encoder = codec.encoder({ framesPerPacket: FRAMES });
    const size = PIECE * FRAMES * codec.hop;
    const packets = [];
    for (let at = 0; at < samples.length; at += size) {
      progress(at / samples.length);
      packets.push(...(await encoder.write(samples.subarray(at, at + size))));
      if (!current()) {
        encoder.close();
        return null;
      }
    }
    packets.push(...(await encoder.drain()));
    encoder.close();
    return new Coded(codec, samples, packets, (performance.now() - started) / 1000);
  }

  constructor(codec, samples, packets, seconds) {
    this.samples = samples;
    this.seconds = seconds; // that coding took
    this._codec = codec;
    this._packets = packets;
    this._format = codec.info.packetFormat(FRAMES);
  }

  /** kbps of so many codebooks. */
  bitrate(count) {
    return this._codec.bitrates[count - 1];
  }

  /**
   * Decode the leading codebooks.
   *
   * @returns {Promise<{audio: Float32Array | null, kbps: number, seconds: number}>} audio is null if
   *   nobody wants it any more; kbps as its packets have it; seconds that it took
   */
  async at(count, progress, current) {
    const started = performance.now();
    const decoder = this._codec.decoder({ framesPerPacket: FRAMES });
    const audio = new Float32Array(this._packets.length * FRAMES * this._codec.hop);
    let [filled, bytes] = [0, 0];
    for (let at = 0; at < this._packets.length; at += PIECE) {
      progress(at / this._packets.length);
      const packets = this._packets.slice(at, at + PIECE).map((packet) => this._leading(packet, count));
      for (const piece of await Promise.all(packets.map((packet) => decoder.decode(packet)))) {
        audio.set(piece, filled);
        filled += piece.length;
      }
      bytes += packets.reduce((sum, packet) => sum + packet.length, 0);
      if (!current()) {
        decoder.close();
        return { audio: null, kbps: 0, seconds: 0 };
      }
    }
    decoder.close();
    return {
      audio: audio.subarray(0, this.samples.length),
      kbps: (bytes * 8) / 1000 / (this.samples.length / this._codec.sampleRate),
      seconds: (performance.now() - started) / 1000,
    };
  }

  /** A packet's leading codebooks, which are a coarser code of the same sound. */
  _leading(packet, count) {
    return this._format.pack(this._format.unpack(packet).slice(0, count));
  }
}
