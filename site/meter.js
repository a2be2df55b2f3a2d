/** A level meter of something in an AudioContext. */

const LOWEST_DB = -60;

export class Meter {
  /** @param {HTMLMeterElement} element from -60 to 0 dB */
  constructor(element) {
    this._element = element;
    this._node = null;
  }

  /** @param {AudioContext} context @param {AudioNode} source */
  listen(context, source) {
    this.stop();
    this._node = context.createAnalyser();
    this._node.fftSize = 2048;
    this._source = source;
    source.connect(this._node);
    this._look(this._node, new Float32Array(this._node.fftSize));
  }

  stop() {
    if (this._node) this._source.disconnect(this._node);
    this._node = null;
    this._element.value = LOWEST_DB;
  }

  _look(node, samples) {
    if (node !== this._node) return;
    node.getFloatTimeDomainData(samples);
    const peak = samples.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    this._element.value = Math.max(LOWEST_DB, 20 * Math.log10(peak + 1e-9));
    requestAnimationFrame(() => this._look(node, samples));
  }
}
