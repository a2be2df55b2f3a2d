"""The sound of a file at another rate, in blocks of equal length."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import soxr

from audiodec.arrays import Samples
from audiodec.audio_files.reading import Audio

READ_SAMPLES = 65536  # per channel and read


class Blocks:
    """Reads a file to its end, in bounded memory.

    Args:
        audio: The open file.
        rate: Hz of the blocks.
        hop: Samples of a frame; the last block is filled with zeros to a whole one.
        frames: Frames of all blocks but the last.
        mono: Whether to mix all channels into one.

    Attributes:
        samples_read: Samples per channel so far, at the file's own rate.
        samples: Samples per channel so far, at `rate`, without the filling.
    """

    def __init__(self, audio: Audio, rate: int, hop: int, frames: int, mono: bool) -> None:
        self._audio, self._rate, self._mono = audio, rate, mono
        self._hop, self._size = hop, hop * frames
        self.samples_read = self.samples = 0

    def __iter__(self) -> Iterator[Samples]:
        """Blocks [channels, frames * hop]; none where the file holds no sound."""
        waiting: list[Samples] = []
        size, ready = self._size, 0
        for piece in self._pieces():
            waiting.append(piece)
            ready += piece.shape[1]
            if ready >= size:
                joined = np.concatenate(waiting, axis=1)
                for start in range(0, ready - size + 1, size):
                    yield joined[:, start : start + size]
                waiting = [joined[:, ready // size * size :]]
                ready %= size
        if ready:
            yield np.pad(np.concatenate(waiting, axis=1), ((0, 0), (0, -ready % self._hop)))

    def _pieces(self) -> Iterator[Samples]:
        """Pieces [channels, n] at `rate`, as they come."""
        audio = self._audio
        channels = 1 if self._mono else audio.channels
        stream = soxr.ResampleStream(audio.rate, self._rate, channels, dtype="float32")
        last = False
        while not last:
            piece = audio.read(READ_SAMPLES)
            last = not len(piece)
            self.samples_read += len(piece)
            if self._mono:
                piece = piece.mean(axis=1, keepdims=True)
            if audio.rate != self._rate and (self.samples_read or not last):
                piece = stream.resample_chunk(piece, last=last)
            self.samples += len(piece)
            yield piece.T
