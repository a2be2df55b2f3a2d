/** Draws where a sound has its energy: time to the right, frequency upwards, 80 dB of brightness. */

const SIZE = 1024; // samples of a column
const RANGE_DB = 80;
const TOP_DB = -15; // below a full-scale sine; speech has no more
const COLOURS = [
  [0, 0, 4], [40, 11, 84], [101, 21, 110], [159, 42, 99], [212, 72, 66], [245, 125, 21],
  [250, 193, 39], [252, 255, 164],
]; // of the map "inferno", in equal steps

const window_ = Float32Array.from({ length: SIZE }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / SIZE));
const cos = Float32Array.from({ length: SIZE / 2 }, (_, n) => Math.cos((2 * Math.PI * n) / SIZE));
const sin = Float32Array.from({ length: SIZE / 2 }, (_, n) => Math.sin((2 * Math.PI * n) / SIZE));
const palette = Uint32Array.from({ length: 256 }, (_, i) => {
  const place = (i / 255) * (COLOURS.length - 1);
  const low = Math.min(Math.floor(place), COLOURS.length - 2);
  const [r, g, b] = COLOURS[low].map((c, k) => c + (COLOURS[low + 1][k] - c) * (place - low));
  return (255 << 24) | (b << 16) | (g << 8) | r;
});

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Float32Array} samples
 */
export function drawSpectrogram(canvas, samples) {
  const { width, height } = canvas;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const [re, im] = [new Float32Array(SIZE), new Float32Array(SIZE)];
  for (let x = 0; x < width; x += 1) {
    const start = Math.round(((x + 0.5) / width) * samples.length - SIZE / 2);
    for (let n = 0; n < SIZE; n += 1) re[n] = (samples[start + n] ?? 0) * window_[n];
    im.fill(0);
    transform(re, im);
    for (let y = 0; y < height; y += 1) {
      const bin = Math.floor(((height - 1 - y) / height) * (SIZE / 2));
      const power = (re[bin] ** 2 + im[bin] ** 2) / (SIZE / 4) ** 2;
      const part = 1 + (10 * Math.log10(power + 1e-12) - TOP_DB) / RANGE_DB;
      pixels[y * width + x] = palette[Math.max(0, Math.min(255, Math.round(255 * part)))];
    }
  }
  context.putImageData(image, 0, 0);
}

/** The Fourier transform in place (Cooley and Tukey, 1965). */
function transform(re, im) {
  for (let i = 1, j = 0; i < SIZE; i += 1) {
    let bit = SIZE >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [re[i], re[j]] = [re[j], re[i]];
      [im[i], im[j]] = [im[j], im[i]];
    }
  }
  for (let half = 1; half < SIZE; half *= 2) {
    const step = SIZE / (2 * half);
    for (let start = 0; start < SIZE; start += 2 * half) {
      for (let k = 0; k < half; k += 1) {
        const [a, b] = [start + k, start + k + half];
        const [c, s] = [cos[k * step], -sin[k * step]];
        const [x, y] = [re[b] * c - im[b] * s, re[b] * s + im[b] * c];
        [re[b], im[b]] = [re[a] - x, im[a] - y];
        re[a] += x;
        im[a] += y;
      }
    }
  }
}
