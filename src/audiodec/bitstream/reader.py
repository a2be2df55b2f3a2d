"""Reading `.adc` files, however damaged: what is whole comes out in its place.

What can have happened to the bytes: some were changed, cut out, put in, cut off, put in front or
appended. See "Damage" in docs/format.md.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from audiodec.arrays import Codes
from audiodec.bitstream.container import BLOCK_HEAD, HEADER_SIZE, MAGIC, Header
from audiodec.bitstream.packet import unpack
from audiodec.bitstream.survey import Survey
from audiodec.errors import FormatError

MAX_FRONT = 1 << 16  # bytes in front of the header that are skipped
CRC_OF_WHOLE = zlib.crc32(bytes(4))  # of anything that ends in its own CRC-32, little-endian
MAX_PLACES_NAMED = 3  # places of damage that are named, at most


@dataclass(frozen=True)
class Block:
    """Some frames of every stream.

    Attributes:
        frames: how many; never more than the header's block has.
        codes: [codebooks, frames] per stream, or None when they are lost.
    """

    frames: int
    codes: list[Codes] | None


class Reader:
    """A file from its header to its end. It is surveyed first, so it must be seekable.

    Attributes:
        samples: per channel at the original's rate; None where the end is lost, or contradicts
            what is there.
        frames: in all, lost ones included.
        blocks_whole, blocks_lost: how many.
        damage: what is wrong with the file, in one line; empty where nothing is.
        truncated: the end is missing.
        payload_bytes: of packets in whole blocks; `total_bytes` is the whole file.

    Raises:
        FormatError: the header is unusable, or the file too damaged.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.header, start, repaired = _find_header(file)
        survey = Survey(file, self.header, start)
        self._pieces, self.samples, self.frames = survey.pieces, survey.samples, survey.frames
        whole = [piece for piece in survey.pieces if piece.whole]
        gaps = [piece for piece in survey.pieces if not piece.whole and piece.frames]
        full = self.header.block_frames
        self.blocks_whole = sum(-(-piece.frames // full) for piece in whole)
        self.blocks_lost = sum(-(-piece.frames // full) for piece in gaps)
        self.truncated = survey.claimed is None
        self.total_bytes = survey.length
        self.payload_bytes = (
            sum(piece.size for piece in whole) - BLOCK_HEAD.size * self.blocks_whole
        )
        self.damage = "; ".join(self._damage(survey, start, repaired))

    def blocks(self) -> Iterator[Block]:
        """Give the blocks in order, with lost ones in the place of gaps."""
        full = self.header.block_frames
        for piece in self._pieces:
            at, left = piece.offset, piece.frames
            while left:
                frames = min(full, left)
                left -= frames
                if not piece.whole:
                    yield Block(frames, None)
                    continue
                size = self.header.size_of(frames)
                self.file.seek(at)
                at += size
                yield Block(frames, self._codes(self.file.read(size), frames))

    def _codes(self, data: bytes, frames: int) -> list[Codes] | None:
        header = self.header
        if header.whole_frames(data) != frames:  # it was whole a moment ago
            return None
        return [unpack(p, frames, header.codebooks, header.bits) for p in header.packets(data)]

    def _damage(self, survey: Survey, start: int, repaired: bool) -> Iterator[str]:
        """Name what is wrong, part by part."""
        header = self.header
        if repaired:
            yield "a damaged byte of the header was mended"
        elif start > HEADER_SIZE:
            yield f"{start - HEADER_SIZE} bytes before the header are skipped"
        seconds = header.hop / header.model_rate
        at, lost, places, strange = 0, 0, [], 0
        for piece in survey.pieces:
            if not piece.whole and piece.frames:
                lost += piece.frames
                places.append(f"{at * seconds:.2f} s")
            elif not piece.whole and piece.offset + piece.size < survey.end:
                strange += piece.size
            at += piece.frames
        if strange:
            yield f"{strange} bytes between the blocks are skipped"
        if lost:
            unnamed = len(places) - MAX_PLACES_NAMED
            more = f" and {unnamed} more places" if unnamed > 0 else ""
            yield (
                f"{self.blocks_lost} of {self.blocks_lost + self.blocks_whole} blocks are lost, "
                f"{lost * seconds:.2f} s at {', '.join(places[:MAX_PLACES_NAMED])}{more}"
            )
        if survey.claimed is None:
            yield "truncated: the end is missing, so the exact length is not known"
        elif survey.samples is None:
            yield (
                f"the end claims {survey.claimed / header.rate:.2f} s, which cannot be: "
                f"the blocks hold {self.frames * seconds:.2f} s"
            )
        if survey.end < survey.length:
            yield f"{survey.length - survey.end} bytes after the end are ignored"


def _find_header(file: BinaryIO) -> tuple[Header, int, bool]:
    """Find the header, where what follows it begins, and whether it had to be mended."""
    file.seek(0)
    data = file.read(MAX_FRONT + HEADER_SIZE)
    front = max(0, data.find(MAGIC))
    try:
        return Header.from_bytes(data[front : front + HEADER_SIZE]), front + HEADER_SIZE, False
    except FormatError:
        found = list(_mended(data[: HEADER_SIZE + 1]))
        if not found:
            raise
        # Whether the last byte was changed or is missing, only what follows can tell.
        header, size = next((f for f in found if f[0].whole_frames(data[f[1] :])), found[0])
        return header, size, True


def _mended(data: bytes) -> Iterator[tuple[Header, int]]:
    """Headers that `data` would begin with, and their sizes, had one byte not been damaged.

    The CRC, the signature and the values must all fit, so no wrong one is found by chance. CRCs
    are linear: what a byte must be, follows from the CRC of the header with a zero in its place.
    """
    for at in range(min(HEADER_SIZE, len(data))):
        front, rest, back = data[:at], data[at:], data[at + 1 :]
        tries = [(front + back, HEADER_SIZE + 1)]  # one too many
        for after, size in ((back, HEADER_SIZE), (rest, HEADER_SIZE - 1)):  # changed, missing
            zeroed = (front + b"\0" + after)[:HEADER_SIZE]
            value = _effects()[at].get(zlib.crc32(zeroed) ^ CRC_OF_WHOLE)
            if value is not None:
                tries.append((front + value + after, size))
        for mended, size in tries:
            if Header.follows(mended):
                yield Header.from_bytes(mended), size


@functools.cache
def _effects() -> list[dict[int, bytes]]:
    """For each place in a header: how each value there changes the CRC of what was zero."""
    zeros = zlib.crc32(bytes(HEADER_SIZE))
    return [
        {
            zlib.crc32(bytes(at) + value + bytes(HEADER_SIZE - 1 - at)) ^ zeros: value
            for value in (bytes([number]) for number in range(256))
        }
        for at in range(HEADER_SIZE)
    ]
