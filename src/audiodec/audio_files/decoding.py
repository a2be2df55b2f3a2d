"""One stream, decoded by libsndfile to its true end."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
import soundfile

from audiodec.arrays import Samples
from audiodec.audio_files.names import printable
from audiodec.audio_files.view import Part, View
from audiodec.errors import AudioError

PIECE_SAMPLES = 65536  # samples decoded at once
MAX_FAILED_READS = 16  # reads that may fail one after the other until the rest is given up


class Stream(soundfile.SoundFile):  # type: ignore[misc]  # it has no types
    """What libsndfile decodes of one stream, to its true end."""

    def __init__(self, view: View) -> None:
        super().__init__(view)
        self._view = view

    def check(self) -> None:
        """Raise AudioError if the file itself could not be read."""
        if self._view.failure is not None:
            raise AudioError(f"the input cannot be read: {self._view.failure.strerror}")

    def seekable(self) -> bool:
        """Say no, whatever the file."""
        return False  # else soundfile ends where the header says, and seeks after every read

    def some(self, count: int) -> Samples:
        """Read up to `count` samples [n, channels], none at the end. Damage is left out."""
        for _ in range(MAX_FAILED_READS):
            out = np.full((count, self.channels), np.nan, np.float32)
            try:
                return np.asarray(self.read(out=out))
            except soundfile.SoundFileError:
                # What was decoded before and after the damage is there, only its length is lost.
                decoded = int(np.argmax(np.append(np.isnan(out[:, 0]), True)))
                if decoded:
                    return out[:decoded]
        return np.zeros((0, self.channels), np.float32)

    def skip(self, count: int, exact: bool) -> bool:
        """Go `count` samples on from the start; by decoding, where seeking cannot be trusted.

        Returns:
            whether that could be done.
        """
        if not count:
            return True
        if exact:
            try:
                return bool(self.seek(count) == count)
            except soundfile.SoundFileError:
                return False
        while count and len(piece := self.some(min(count, PIECE_SAMPLES))):
            count -= len(piece)
        return not count


def open_stream(name: str, file: BinaryIO, parts: tuple[Part, ...]) -> Stream:
    """Open the parts of a file as one stream. Raises AudioError if they are no audio."""
    view = View(file, parts)
    try:
        stream = Stream(view)
    except soundfile.SoundFileError as error:
        reason = view.failure or str(error).split(": ", 1)[-1]
        raise AudioError(f"{printable(name)} is not audio that can be read: {reason}") from None
    return stream
