"""What an `.adc` file still holds: whole blocks, gaps between them, and how long the gaps were.

Nothing in a block says which one it is, so a gap is told by its bytes: lost frames are as many as
would have filled them. The length in the trailer then corrects the guess.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from audiodec.bitstream.container import (
    CRC_SIZE,
    HEADER_SIZE,
    TRAILER_SIZE,
    Header,
    trailer_samples,
)
from audiodec.bitstream.search import find_block, pieces
from audiodec.errors import FormatError

MAX_PIECES = 1 << 17  # of a damaged file; bounds memory
MAX_EXPANSION = 16  # times what a file's bytes can hold is the most that it may last
CRC_BUDGET_BYTES = 1 << 30  # bytes of CRC spent on a last block of unknown length


@dataclass
class Piece:
    """Neighbouring bytes of a file.

    Attributes:
        offset, size: bytes.
        frames: they hold; of a gap, how many were lost.
        whole: they are whole blocks, all full or one short; else a gap.
    """

    offset: int
    size: int
    frames: int
    whole: bool


class Survey:
    """One pass over a file.

    Attributes:
        pieces: whole blocks and gaps in order, from the header to the end.
        samples: what the trailer says; None where there is none or it contradicts the blocks.
        claimed: what it says even then.
        end: offset of what follows the trailer, or the file's length.
        length: of the file, bytes.

    Raises:
        FormatError: more than MAX_PIECES pieces, or gaps that make the file last MAX_EXPANSION
            times what its bytes can hold: no damage does that, it is made on purpose.
    """

    def __init__(self, file: BinaryIO, header: Header, start: int) -> None:
        self._file, self._header = file, header
        self._budget = CRC_BUDGET_BYTES
        self._found: dict[int, int] = {}  # frames of a kind of block: where the next one is
        self._so_far = 0  # frames
        self.length = file.seek(0, os.SEEK_END)
        self.pieces: list[Piece] = []
        self.claimed: int | None = None
        self.end = self._walk(start)
        self.samples = self._settle(start)
        if self.frames > self._most_frames(start):
            raise FormatError("the gaps between its blocks are longer than the file could be")

    @property
    def frames(self) -> int:
        """In all, lost ones included."""
        return sum(piece.frames for piece in self.pieces)

    def _walk(self, at: int) -> int:
        """Find the pieces; returns where the file ends."""
        header = self._header
        while at < self.length:
            self._file.seek(at)
            data = self._file.read(max(header.block_size, TRAILER_SIZE))
            samples = trailer_samples(data[:TRAILER_SIZE])
            if samples is not None and self._is_last(at + TRAILER_SIZE, samples):
                self.claimed = samples
                return at + TRAILER_SIZE
            frames = header.whole_frames(data)
            if frames:
                size = header.size_of(frames)
                self._add(Piece(at, size, frames, header.is_padded(data[:size])))
            else:
                size = self._next(at + 1) - at
                self._add(Piece(at, size, self._guess(size), whole=False))
            at += size
        return self.length

    def _add(self, piece: Piece) -> None:
        """Append a piece, or make the last one longer."""
        last, full = self.pieces[-1] if self.pieces else None, self._header.block_frames
        if last and last.whole == piece.whole and (not last.whole or last.frames % full == 0):
            self._so_far -= last.frames
            last.size += piece.size
            last.frames = last.frames + piece.frames if last.whole else self._guess(last.size)
            self._so_far += last.frames
            return
        if len(self.pieces) == MAX_PIECES:
            raise FormatError(f"the file is damaged in more than {MAX_PIECES // 2} places")
        self.pieces.append(piece)
        self._so_far += piece.frames

    def _guess(self, size: int) -> int:
        """Frames lost in a gap between blocks: the nearest number of full blocks, but one."""
        return max(1, round(size / self._header.block_size)) * self._header.block_frames

    def _is_last(self, at: int, samples: int) -> bool:
        """Whether a trailer that ends at `at` is the file's own, not a copy of it further in."""
        if self._header.frames_of(samples) <= self._so_far + 1:
            return True
        self._file.seek(at)
        return Header.follows(self._file.read(HEADER_SIZE)) or self._full(at) == self.length

    def _next(self, at: int) -> int:
        """Where the next whole block or trailer begins at `at` or later, or the file's length."""
        full = self._full(at)
        trailer = self._find(at, full, TRAILER_SIZE, 0)
        short = None if trailer == full < self.length else self._short(at, trailer)
        return trailer if short is None else short

    def _full(self, at: int) -> int:
        """Where the next whole full block begins at `at` or later, or the file's length."""
        return self._find(at, self.length, self._header.block_size, self._header.block_frames)

    def _find(self, at: int, stop: int, size: int, frames: int) -> int:
        """`find_block`, but no byte is looked at twice for the same."""
        if self._found.get(frames, -1) < at:
            self._found[frames] = find_block(self._file, at, stop, size, frames)
        return self._found[frames]

    def _short(self, at: int, stop: int) -> int | None:
        """Where a short block begins in [at, stop): the last one, whose length is not known."""
        header = self._header
        for first, data in pieces(self._file, at, stop, CRC_SIZE + 1):
            octets = np.frombuffer(data, np.uint8)[CRC_SIZE:].astype(np.int64)
            frames = octets[:-1] + 256 * octets[1:]
            for found in np.flatnonzero((frames > 0) & (frames < header.block_frames)).tolist():
                size = header.size_of(int(frames[found]))
                self._budget -= size
                if self._budget < 0:  # made on purpose
                    return None
                self._file.seek(first + found)
                if header.whole_frames(self._file.read(size)):
                    return first + found
        return None

    def _settle(self, start: int) -> int | None:
        """Give the gaps the frames that the trailer says are missing; returns its word if true."""
        full, size = self._header.block_frames, self._header.block_size
        tail = self.pieces[-1] if self.pieces and not self.pieces[-1].whole else None
        if tail:
            blocks, rest = divmod(tail.size, size)
            tail.frames = blocks * full  # what is cut off is no block
        if self.claimed is None:
            return None
        promised = self._header.frames_of(self.claimed)
        if promised > self._most_frames(start):
            return None
        guessed = [piece.frames for piece in self.pieces]
        if tail:
            tail.frames += self._header.frames_in(rest)
        gaps = [piece for piece in self.pieces if not piece.whole]
        missing = promised - self.frames
        blocks = round(missing / full)
        if tail and missing - blocks * full < -tail.frames:  # the last block has no less than none
            blocks -= 1
        self._correct(gaps, blocks)
        missing = promised - self.frames
        if tail:
            tail.frames = max(0, tail.frames + missing)
        elif missing > 1:  # whole blocks are gone without a trace
            self.pieces.append(Piece(self.end - TRAILER_SIZE, 0, missing, whole=False))
        if self._header.fits(self.frames, self.claimed):
            return self.claimed
        self.pieces = self.pieces[: len(guessed)]
        for piece, frames in zip(self.pieces, guessed, strict=True):
            piece.frames = frames
        return None

    def _most_frames(self, start: int) -> int:
        """Frames that a file of so many bytes may claim or lose without being a trap."""
        blocks = (self.end - start) // self._header.block_size
        return MAX_EXPANSION * self._header.block_frames * (1 + blocks)

    def _correct(self, gaps: list[Piece], blocks: int) -> None:
        """Lengthen or shorten gaps by so many full blocks, where their bytes speak least against.

        A gap of whole blocks' bytes was overwritten, most likely; of others bytes were cut out or
        put in.
        """
        if not gaps or not blocks:
            return
        full, size = self._header.block_frames, self._header.block_size

        def excess(gap: Piece) -> float:
            """Blocks' worth of bytes more than the frames need."""
            return gap.size / size - gap.frames / full

        odd = [gap for gap in gaps if gap.size % size] or gaps
        if blocks > 0:
            max(odd, key=excess).frames += blocks * full
            return
        # Bytes put in may fill whole blocks by chance: those gaps give way last.
        even = [gap for gap in gaps if not any(gap is other for other in odd)]
        for least, candidates in [(least, some) for some in (odd, even) for least in (full, 0)]:
            for gap in sorted(candidates, key=lambda gap: -gap.frames):
                less = min(-blocks * full, max(0, gap.frames - least) // full * full)
                gap.frames -= less
                blocks += less // full
