"""One door to sound files: whoever reads sound, reads it through `open_audio`.

libsndfile decodes. What it believes too easily is checked here: a length that the header claims, a
stream that follows another one, an error in the middle. What can be read is read, and what is
missing is told in `Audio.warnings`, by everybody in the same words.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from audiodec.arrays import Samples
from audiodec.audio_files.decoding import open_stream
from audiodec.audio_files.measuring import Facts, Measured, measured
from audiodec.audio_files.names import printable
from audiodec.audio_files.sources import seekable

MIN_GAP_SAMPLES = 4096  # samples that are silent at least, where something is damaged


@contextmanager
def open_audio(source: str) -> Iterator[Audio]:
    """Open a sound file of any format that libsndfile reads; `-` is stdin.

    What cannot be sought (stdin, a named pipe, `<(...)`) is kept in a temporary file first, because
    most formats need seeking.

    Args:
        source: Path of the file, or `-`.

    Raises:
        AudioError: It cannot be read, is empty, or claims a sample rate outside 1 to 768 kHz.
    """
    with seekable(source) as file, closing(Audio(source, file, measured(source, file))) as audio:
        yield audio


def read_audio(source: str, longest: float | None = None) -> Sound:
    """Read a whole sound file, or its start, into memory.

    Args:
        source: Path of the file, or `-` for stdin.
        longest: Seconds to read at most; all if not given.

    Raises:
        AudioError: It cannot be read, is empty, or claims a sample rate outside 1 to 768 kHz.
    """
    with open_audio(source) as audio:
        most = audio.samples if longest is None else round(longest * audio.rate)
        samples = audio.read(min(most, audio.samples))
        return Sound(samples, audio.rate, audio.warnings)


def describe_audio(source: str) -> Facts:
    """Tell how long a file is, as `open_audio` has it. Raises AudioError like `open_audio`."""
    with seekable(source) as file:
        return measured(source, file).facts


@dataclass(frozen=True)
class Sound:
    """A sound file in memory.

    Attributes:
        samples: Sound in [-1, 1], float32, [n, channels].
        rate: Hz.
        warnings: Lines that say what is wrong with the file.
    """

    samples: Samples
    rate: int
    warnings: tuple[str, ...]


class Audio:
    """An open sound file.

    Attributes:
        rate: Hz.
        samples: per channel, that `read` gives in all.
    """

    def __init__(self, name: str, file: BinaryIO, measured: Measured) -> None:
        facts = measured.facts
        self.rate, self.channels, self.samples = facts.rate, facts.channels, facts.samples
        self._name, self._file, self._measured = name, file, measured
        self._position = self._silent = 0  # samples read; of these, samples without a sound
        self._link = 0  # the stream being read
        self._gap = self._step = 0  # samples left of a damaged stretch, and its length
        self._stream = open_stream(name, file, measured.finding.links[0])
        self._left = measured.lengths[0]  # samples of it

    @property
    def seconds(self) -> float:
        return self.samples / self.rate

    @property
    def missing_seconds(self) -> float:
        """Of what the header claims, so far as it has been read."""
        return self._measured.facts.missing_seconds + self._silent / self.rate

    @property
    def warnings(self) -> tuple[str, ...]:
        """Lines that say what is wrong with the file, so far as it has been read."""
        known = self._measured.facts.warnings
        if not self._silent:
            return known
        seconds = self._silent / self.rate
        return (
            *known,
            f"{printable(self._name)} is damaged: {seconds:.2f} s of {self.seconds:.2f} s "
            "cannot be decoded and are silent",
        )

    def read(self, count: int) -> Samples:
        """Read the next samples, [n, channels]; fewer than `count` only at the end.

        What is damaged in the middle is silent, and what follows it is in its place, where the
        format can be sought in.

        Raises:
            AudioError: the file cannot be read any more.
        """
        count = min(count, self.samples - self._position)
        out = np.zeros((count, self.channels), np.float32)
        filled = 0
        while filled < count:
            piece = self._next(count - filled)
            out[filled : filled + len(piece)] = piece
            filled += len(piece)
        self._position += count
        return np.nan_to_num(out, copy=False)

    def seek(self, sample: int) -> None:
        """Go on reading at that sample of all."""
        start = 0
        self._position = min(sample, self.samples)
        for link, length in enumerate(self._measured.lengths):
            if self._position < start + length:
                self._begin(link, self._position - start)
                return
            start += length

    def _next(self, count: int) -> Samples:
        """1 to `count` samples; there are so many, or they are silent."""
        while not self._left:
            self._begin(self._link + 1)
        count = min(count, self._left)
        if not self._gap:
            piece = self._stream.some(count)
            if len(piece):
                self._left -= len(piece)
                return piece
            self._stream.check()
            self._gap = self._step = min(MIN_GAP_SAMPLES, self._left)
        silence = np.zeros((min(count, self._gap), self.channels), np.float32)
        self._left -= len(silence)
        self._gap -= len(silence)
        self._silent += len(silence)
        if not self._gap and self._left and not self._resume():
            # Twice as far each time: a large damage must not take long to get over.
            self._step = self._gap = min(2 * self._step, self._left)
        return silence

    def _resume(self) -> bool:
        """Whether the stream can be decoded from here on."""
        link = self._link
        return self._begin(link, self._measured.lengths[link] - self._left)

    def _begin(self, link: int, sample: int = 0) -> bool:
        self._stream.close()
        parts, length = self._measured.finding.links[link], self._measured.lengths[link]
        self._stream = open_stream(self._name, self._file, parts)
        self._link, self._left, self._gap = link, length - sample, 0
        return self._stream.skip(sample, exact=self._measured.finding.trusted)

    def close(self) -> None:
        """Give back what libsndfile holds."""
        self._stream.close()
