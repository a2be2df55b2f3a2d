"""A file as libsndfile shall see it: stretches of what is on disk, mended bytes between them."""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import BinaryIO

Part = bytes | tuple[int, int]  # bytes themselves, or (start, stop) in the file


class View(io.RawIOBase):
    """Parts of a file, one after the other, to be read and sought like a file.

    Attributes:
        failure: why reading the file failed; libsndfile is only told that it ends there.
    """

    def __init__(self, file: BinaryIO, parts: Sequence[Part]) -> None:
        self._file, self._parts = file, parts
        lengths = (len(p) if isinstance(p, bytes) else p[1] - p[0] for p in parts)
        self._starts = [0, *accumulate(lengths)]
        self._position = 0
        self.failure: OSError | None = None

    def readable(self) -> bool:
        """Say yes, as a file opened to be read does."""
        return True

    def seekable(self) -> bool:
        """Say yes, as a file on disk does."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._starts[-1]}
        self._position = max(0, base[whence] + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer from the present place on; returns how many bytes there were."""
        filled = 0
        while filled < len(buffer) and self._position < self._starts[-1]:
            index = bisect_right(self._starts, self._position) - 1
            at, room = self._position - self._starts[index], len(buffer) - filled
            piece = self._piece(self._parts[index], at, room)
            if not piece:
                break
            buffer[filled : filled + len(piece)] = piece
            filled += len(piece)
            self._position += len(piece)
        return filled

    def _piece(self, part: Part, at: int, most: int) -> bytes:
        if isinstance(part, bytes):
            return part[at : at + most]
        try:
            self._file.seek(part[0] + at)
            return self._file.read(min(most, part[1] - part[0] - at))
        except OSError as error:  # must not be raised through libsndfile
            self.failure = error
            return b""
