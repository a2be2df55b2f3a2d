/** In the audio thread: samples in batches of a tenth of a second. */
class RecorderProcessor extends AudioWorkletProcessor {
  constructor() {
    super();
    this._batch = new Float32Array(sampleRate / 10);
    this._filled = 0;
  }

  process([[samples]]) {
    for (const sample of samples ?? []) {
      this._batch[this._filled++] = sample;
      if (this._filled === this._batch.length) {
        this.port.postMessage(this._batch.slice());
        this._filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("recorder", RecorderProcessor);
