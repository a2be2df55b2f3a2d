/** Versions of one sound that play together; one of them is heard, and switching is instant. */

const SWITCH_S = 0.005; // a fade this short is heard as no click

export class Player {
  /** @param {number} rate Hz */
  constructor(rate) {
    this.playing = false;
    this.onchange = () => {};
    this._rate = rate;
    this._versions = new Map(); // name -> { buffer, gain, source }
    this._chosen = "";
    this._position = 0; // seconds, while nothing plays
    this._began = 0; // the context's time at position 0, while something plays
  }

  /** Seconds of the longest version. */
  get seconds() {
    return Math.max(0, ...[...this._versions.values()].map(({ buffer }) => buffer.duration));
  }

  /** Seconds from the start. */
  get position() {
    const now = this.playing ? this._context.currentTime - this._began : this._position;
    return Math.max(0, Math.min(now, this.seconds));
  }

  /** @param {string} name @param {Float32Array | null} samples null: there is none */
  set(name, samples) {
    this._silence(name);
    this._versions.delete(name);
    if (samples) {
      const buffer = new AudioBuffer({ length: samples.length, sampleRate: this._rate, numberOfChannels: 1 });
      buffer.copyToChannel(samples, 0);
      this._versions.set(name, { buffer, gain: null, source: null });
      if (this.playing) this._sound(name);
    }
    this.onchange();
  }

  /** Hear this version from now on. @param {string} name */
  choose(name) {
    this._chosen = name;
    for (const [each, { gain }] of this._versions) {
      gain?.gain.setTargetAtTime(Number(each === name), this._context.currentTime, SWITCH_S);
    }
  }

  async toggle() {
    if (this.playing) return this.stop();
    this._context ??= new AudioContext({ sampleRate: this._rate });
    await this._context.resume();
    if (this.position >= this.seconds) this._position = 0;
    this._began = this._context.currentTime - this._position;
    this.playing = true;
    for (const name of this._versions.keys()) this._sound(name);
    this._tick();
  }

  stop() {
    this._position = this.position;
    this.playing = false;
    for (const name of this._versions.keys()) this._silence(name);
    this.onchange();
  }

  /** @param {number} seconds */
  seek(seconds) {
    const playing = this.playing;
    this.stop();
    this._position = Math.max(0, Math.min(seconds, this.seconds));
    this.onchange();
    if (playing) this.toggle();
  }

  _sound(name) {
    const version = this._versions.get(name);
    const gain = this._context.createGain();
    gain.gain.value = Number(name === this._chosen);
    const source = this._context.createBufferSource();
    source.buffer = version.buffer;
    source.connect(gain).connect(this._context.destination);
    source.start(0, this.position);
    Object.assign(version, { gain, source });
  }

  _silence(name) {
    const version = this._versions.get(name);
    version?.source?.stop();
    version?.gain?.disconnect();
    if (version) Object.assign(version, { gain: null, source: null });
  }

  _tick() {
    if (!this.playing) return;
    if (this._context.currentTime - this._began >= this.seconds) {
      this.stop();
      this._position = 0;
    } else {
      requestAnimationFrame(() => this._tick());
    }
    this.onchange();
  }
}
