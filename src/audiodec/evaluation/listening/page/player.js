// Versions of one passage, all running together; the one that is heard changes without a gap.

const FADE = 0.01; // s: short enough to compare, long enough not to click

export class Player {
  /**
   * @param {number} rate of the clips, Hz: the sound card's driver resamples, not the page
   * @param {boolean} loop whether to start again at the end
   * @param {(ended?: boolean) => void} changed called when playing starts or stops, or another
   *     version is heard
   */
  constructor(rate, loop, changed) {
    Object.assign(this, { rate, loop, changed, buffers: [], sources: [], gains: [] });
    Object.assign(this, { context: null, selected: 0, offset: 0, startedAt: null });
  }

  async load(urls) {
    const decoder = new OfflineAudioContext(1, 1, this.rate);
    const fetched = urls.map(async (url) => {
      const response = await fetch(url);
      if (!response.ok) throw new Error("a sound cannot be loaded");
      return decoder.decodeAudioData(await response.arrayBuffer());
    });
    this.buffers = await Promise.all(fetched);
  }

  get duration() {
    return this.buffers.length ? this.buffers[0].duration : 0;
  }

  get playing() {
    return this.startedAt !== null;
  }

  /** Seconds into the passage. */
  get position() {
    if (!this.playing) return this.offset;
    const at = this.offset + Math.max(0, this.context.currentTime - this.startedAt);
    return this.loop ? at % this.duration : Math.min(at, this.duration);
  }

  async play() {
    if (this.playing || !this.buffers.length) return;
    this.startedAt = Infinity; // being started
    this.context ??= new AudioContext({ sampleRate: this.rate }); // now: browsers want a click first
    await this.context.resume();
    if (!this.playing || this.sources.length) return; // stopped, or started again, meanwhile
    const when = this.context.currentTime + 0.03;
    this.gains = this.buffers.map(() => this.context.createGain());
    this.sources = this.buffers.map((buffer, i) => {
      const source = new AudioBufferSourceNode(this.context, { buffer, loop: this.loop });
      this.gains[i].gain.value = i === this.selected ? 1 : 0;
      source.connect(this.gains[i]).connect(this.context.destination);
      source.start(when, this.offset);
      return source;
    });
    this.sources[0].onended = () => this.#ended();
    this.startedAt = when;
    this.changed();
  }

  pause() {
    if (!this.playing) return;
    this.offset = this.position;
    this.#stop();
    this.changed();
  }

  /** Hear another version, at the same position. */
  select(index) {
    this.selected = index;
    this.gains.forEach((gain, i) => gain.gain.setTargetAtTime(
      i === index ? 1 : 0, this.context.currentTime, FADE / 4));
    this.changed();
  }

  async seek(seconds) {
    const playing = this.playing;
    this.#stop();
    this.offset = seconds;
    if (playing) await this.play();
  }

  close() {
    this.#stop();
    return this.context?.close();
  }

  #ended() {
    this.#stop();
    this.offset = 0;
    this.changed(true);
  }

  #stop() {
    for (const source of this.sources) {
      source.onended = null;
      source.stop();
      source.disconnect();
    }
    this.sources = [];
    this.gains = [];
    this.startedAt = null;
  }
}
