/** Samples of the microphone, as they are. */

import { openMicrophone } from "./audio.js";

export class Recorder {
  /**
   * @param {number} rate Hz
   * @param {number} most seconds
   * @param {(level: number, seconds: number) => void} tell about the newest samples: the highest, 0 to 1
   */
  static async start(rate, most, tell) {
    const stream = await openMicrophone({
      channelCount: 1,
      echoCancellation: false,
      noiseSuppression: false,
      autoGainControl: false,
    });
    const context = new AudioContext({ sampleRate: rate });
    await context.audioWorklet.addModule("recorder-worklet.js");
    const node = new AudioWorkletNode(context, "recorder", { channelCount: 1, channelCountMode: "explicit" });
    context.createMediaStreamSource(stream).connect(node).connect(context.destination); // silence
    return new Recorder(stream, context, node, most * rate, tell);
  }

  constructor(stream, context, node, most, tell) {
    this._stream = stream;
    this._context = context;
    this._pieces = [];
    this._length = 0;
    node.port.onmessage = ({ data }) => {
      if (this._length >= most) return;
      this._pieces.push(data);
      this._length += data.length;
      tell(data.reduce((peak, x) => Math.max(peak, Math.abs(x)), 0), this._length / context.sampleRate);
    };
  }

  /** End. @returns {Float32Array} all that was heard */
  stop() {
    for (const track of this._stream.getTracks()) track.stop();
    this._context.close();
    const samples = new Float32Array(this._length);
    let at = 0;
    for (const piece of this._pieces) {
      samples.set(piece, at);
      at += piece.length;
    }
    this._pieces = [];
    return samples;
  }
}
