"""Recordings: sound files that are kept as far as they go, whatever ends them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiodec.audio_files.writing import create_audio, write_audio, write_whole
from audiodec.errors import AudioError


class Recording:
    """Sound that goes to a file as it comes.

    Attributes:
        samples: written so far.
    """

    def __init__(self, audio: soundfile.SoundFile, file: _Kept, name: str, rate: int) -> None:
        self.samples = 0
        self._audio, self._file, self._name, self._rate = audio, file, name, rate

    def write(self, samples: NDArray[np.float32]) -> None:
        """Append samples [n], clipped to full scale.

        Raises:
            AudioError: the disk is full, or the like; what was written before is kept.
        """
        write_audio(self._audio, samples[None])
        self._file.check(self._name, self.samples / self._rate)
        self.samples += len(samples)


@contextmanager
def record(target: str, rate: int) -> Iterator[Recording]:
    """Record a mono sound file that appears under its name at the end, also at an end by an error.

    Only where nothing was recorded an error leaves nothing.

    Raises:
        AudioError: it cannot be written, or not to the end.
    """
    failure: BaseException | None = None
    with write_whole(target) as out:
        file = _Kept(out)
        with create_audio(cast(BinaryIO, file), target, rate, 1) as audio:
            recording = Recording(audio, file, target, rate)
            try:
                yield recording
            except BaseException as error:
                if not recording.samples:
                    raise
                failure = error
    if failure is not None:
        raise failure
    file.check(target, recording.samples / rate)


class _Kept:
    """A file that takes what fits and never complains to libsndfile, which would give up.

    So the header, at last, can still say how much there is: that lies where there is room already.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file: Any = getattr(file, "raw", file)  # without a buffer that cannot be emptied
        self._keeps = self._file.seekable()  # a pipe keeps nothing
        self._failure: OSError | None = None
        # As libsndfile asks, by these names:
        self.seek, self.tell, self.readinto = self._file.seek, self._file.tell, self._file.readinto

    def check(self, name: str, seconds: float) -> None:
        """Raise AudioError if something did not fit."""
        if self._failure is not None:
            some = seconds and self._keeps
            kept = f" any more, its first {seconds:.1f} s are kept" if some else ""
            raise AudioError(f"{name} cannot be written{kept}: {self._failure.strerror}")

    def write(self, data: bytes) -> int:
        begin = self._file.tell() if self._keeps else None
        left = memoryview(data)
        if self._failure is None or (begin is not None and begin + len(data) <= self._size()):
            try:
                while left:
                    left = left[self._file.write(left) or 0 :]
            except OSError as error:
                self._failure = self._failure or error
                if begin is not None:
                    self._file.truncate(begin)  # half a block would spoil the whole ones
        return len(data)

    def flush(self) -> None:
        """Nothing is buffered."""

    def _size(self) -> int:
        return int(os.fstat(self._file.fileno()).st_size)
