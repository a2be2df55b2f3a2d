"""From one sample rate to another, piece by piece."""

from __future__ import annotations

from typing import Any

import numpy as np

from audiodec.arrays import Samples
from audiodec.errors import AudioError

MIN_RATE, MAX_RATE = 1000, 768_000  # Hz; what a rate claims decides how much resampling makes


class Resampler:
    """Resamples a stream with soxr, quality HQ, however it is cut into pieces.

    n samples become ceil(n * target / source), so that the way back never lacks one. The filter
    looks ahead: what comes out lags behind what went in, e.g. by 20 ms from 44.1 to 48 kHz, until
    `finish` brings the rest. With equal rates samples pass as they are.

    Args:
        source, target: Hz.
        channels: signals resampled side by side.
    """

    def __init__(self, source: int, target: int, channels: int) -> None:
        self.source, self.target, self.channels = source, target, channels
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next sample begins a new stream."""
        self._taken = self._given = 0  # samples
        self._stream: Any = None
        if self.source != self.target:
            import soxr  # only who resamples waits for it

            self._stream = soxr.ResampleStream(
                self.source, self.target, self.channels, dtype="float32"
            )

    def push(self, audio: Samples) -> Samples:
        """Take samples [channels, n], and give those that are ready, [channels, m]."""
        return self._resample(audio, last=False)

    def finish(self) -> Samples:
        """Give the rest of the stream, [channels, m]; then start anew."""
        rest = self._resample(np.zeros((self.channels, 0), np.float32), last=True)
        total = -(-self._taken * self.target // self.source)
        missing = total - self._given  # soxr rounds to the nearest number
        self.reset()
        return np.pad(rest, ((0, 0), (0, missing)))

    def _resample(self, audio: Samples, last: bool) -> Samples:
        self._taken += audio.shape[1]
        if self._stream is not None:
            made = self._stream.resample_chunk(np.ascontiguousarray(audio.T), last=last)
            audio = np.ascontiguousarray(made.T)
        self._given += audio.shape[1]
        return audio

    def __reduce__(self) -> tuple[type[Resampler], tuple[int, int, int]]:
        if self._stream is not None and self._taken:
            raise AudioError(
                f"a stream that is resampled ({self.source} to {self.target} Hz) cannot be copied "
                "or pickled once it has begun, because soxr keeps its state to itself: copy it "
                "before, or resample outside"
            )
        return type(self), (self.source, self.target, self.channels)


def resample(batch: Samples, source: int, target: int) -> Samples:
    """Resample whole signals [batch, channels, n] to another rate, as a `Resampler` does it."""
    if source == target:
        return batch
    count, channels, samples = batch.shape
    signals = batch.reshape(count * channels, samples)
    resampler = Resampler(source, target, len(signals))
    made = np.concatenate([resampler.push(signals), resampler.finish()], axis=1)
    return made.reshape(count, channels, -1)
