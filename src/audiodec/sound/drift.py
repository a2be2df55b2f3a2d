"""Two sound cards have two clocks: keep the delay between them where it should be.

Quartz clocks differ by tens to hundreds of ppm: at 100 ppm a buffer gains or loses 5 ms a minute.
Adaptive resampling rather than skipping and repeating samples: a shift of at most 2000 ppm is 3.5
cents, below what anybody hears, while a repeated sample in a vowel is a click. The controller is a
proportional-integral loop on the measured delay, slow enough to be inaudible and to average over
late callbacks (the idea of F. Adriaensen, "Controlling adaptive resampling", LAC 2012).

Own interpolation rather than soxr's variable-rate mode, which holds back 240 samples (5 ms).
"""

from __future__ import annotations

import math

import numpy as np

from audiodec.arrays import Samples

TAPS, PHASES = 16, 256


def _kernels() -> np.ndarray:
    """Windowed sincs for fractions 0, 1/PHASES, ..., 1 of a sample, [PHASES + 1, TAPS]."""
    offset = np.arange(TAPS) - (TAPS // 2 - 1) - np.arange(PHASES + 1)[:, None] / PHASES
    window = np.i0(6 * np.sqrt(np.clip(1 - (2 * offset / TAPS) ** 2, 0, 1))) / np.i0(6)
    kernels = np.sinc(offset) * window
    return np.asarray(kernels / kernels.sum(axis=1, keepdims=True), np.float32)


class Resampler:
    """Resamples a stream by a ratio close to 1 that may change with every call.

    What comes out is `delay` samples late. Flat to 18 kHz, distortion 66 dB down; at a ratio of 1
    the samples themselves come out.
    """

    delay = TAPS // 2  # samples

    def __init__(self) -> None:
        self._kernels = _kernels()
        self._past = np.zeros(TAPS - 1, np.float32)
        self._next = 0.0  # where the next output lies, in samples after the newest window

    def __call__(self, samples: Samples, ratio: float) -> Samples:
        """[n] -> [about n * ratio]; a ratio above 1 makes the sound longer."""
        if not len(samples):
            return samples
        joined = np.concatenate([self._past, samples])
        count = max(0, math.ceil((len(samples) - self._next) * ratio))
        places = self._next + np.arange(count) / ratio
        starts = np.clip(np.floor(places).astype(np.intp), 0, len(samples) - 1)
        phase = (places - starts) * PHASES
        row = np.minimum(phase.astype(np.intp), PHASES - 1)
        blend = (phase - row).astype(np.float32)[:, None]
        kernels = (1 - blend) * self._kernels[row] + blend * self._kernels[row + 1]
        windows = np.lib.stride_tricks.sliding_window_view(joined, TAPS)[starts]
        self._next += count / ratio - len(samples)
        self._past = joined[len(joined) - (TAPS - 1) :]
        return np.asarray((windows * kernels).sum(axis=1), np.float32)


class DelayControl:
    """From measured delays, the ratio to resample by.

    Args:
        target: seconds of delay to keep.

    Attributes:
        target: seconds; above the one asked for while the machine proves too slow for that.
    """

    SMOOTHING = 0.5  # seconds; callbacks come early and late by milliseconds
    SPEED = 0.25  # rad/s of the loop, critically damped: 300 ppm move the delay by 0.5 ms
    LIMIT = 2000e-6  # of the correction
    LEARN = 0.002  # seconds; an error beyond it comes from a pause, not from clocks
    STEP_S, MAX_STEPS_S = 0.001, 0.02  # seconds added to the target when it was missed, and at most
    DECAY = 0.001 / 60  # seconds per second, back to the target asked for

    def __init__(self, target: float) -> None:
        self.target = self._asked = target
        self._error, self._drift = 0.0, 0.0

    @property
    def drift(self) -> float:
        """ppm by which the source's clock is faster than the sink's, as learnt so far."""
        return self._drift * 1e6

    def missed(self, seconds: float) -> None:
        """Note that the sink ran dry for that long: keep more from now on."""
        self.target = min(self._asked + self.MAX_STEPS_S, self.target + seconds + self.STEP_S)

    def update(self, delay: float, elapsed: float) -> float:
        """Compute the ratio from now on.

        Args:
            delay: seconds, as measured now.
            elapsed: seconds since the last update.
        """
        self.target = max(self._asked, self.target - self.DECAY * elapsed)
        weight = min(1.0, elapsed / self.SMOOTHING)
        self._error += weight * (delay - self.target - self._error)
        if abs(self._error) < self.LEARN:
            step = self.SPEED**2 * self._error * elapsed
            self._drift = min(self.LIMIT / 2, max(-self.LIMIT / 2, self._drift + step))
        correction = 2 * self.SPEED * self._error + self._drift
        return 1 - min(self.LIMIT, max(-self.LIMIT, correction))
