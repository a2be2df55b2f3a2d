"""Damage to `.adc` files, and a model of what must survive it."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from audiodec.bitstream.container import HEADER_SIZE, TRAILER_SIZE, Header, Writer
from audiodec.bitstream.reader import Reader

Codes = NDArray[np.int64]
HEADER = Header(
    model_id="test", weights_hash=b"12345678", model_rate=48000, rate=44100, channels=2, hop=320,
    codebooks=3, bits=10, block_frames=8,
)  # fmt: skip


@dataclass(frozen=True)
class Made:
    """A whole file: its bytes, its codes [streams, codebooks, frames], its length in samples."""

    header: Header
    data: bytes
    codes: Codes
    samples: int

    @property
    def block_starts(self) -> list[int]:
        """Of each block, and last of the trailer."""
        size = self.header.block_size
        count = -(-self.codes.shape[2] // self.header.block_frames)
        return [HEADER_SIZE + i * size for i in range(count)] + [len(self.data) - TRAILER_SIZE]


def make(frames: int, header: Header = HEADER, seed: int = 0) -> Made:
    """A file of that many frames."""
    shape = (header.channels, header.codebooks, frames)
    codes = np.random.default_rng(seed).integers(1 << header.bits, size=shape)
    file = io.BytesIO()
    writer = Writer(file, header)
    for start in range(0, frames, header.block_frames):
        writer.write_block(list(codes[..., start : start + header.block_frames]))
    samples = int((frames - 0.5) * header.hop * header.rate / header.model_rate)
    writer.finish(samples)
    return Made(header, file.getvalue(), codes, samples)


class Damaged:
    """The bytes of a file while one thing after the other happens to them."""

    def __init__(self, made: Made) -> None:
        self.made, self.data = made, bytearray(made.data)
        self.cuts = 0  # how often bytes were cut out or put in

    def change(self, at: int, value: int) -> None:
        self.data[at] = value

    def cut(self, at: int, count: int) -> None:
        del self.data[at : at + count]
        self.cuts += 1

    def put(self, at: int, junk: bytes) -> None:
        self.data[at:at] = junk
        self.cuts += 1

    def at_random(self, source: random.Random) -> None:
        """One event of any kind at a random place."""
        at, kind = source.randrange(len(self.data) or 1), source.random()
        block = self.made.header.block_size
        count = source.choice((1, source.randint(1, 40), source.randint(1, 4 * block)))
        if kind < 0.35:
            for i in range(at, min(at + source.choice((1, count)), len(self.data))):
                self.change(i, source.randrange(256))
        elif kind < 0.6:
            self.cut(at, min(count, len(self.data) - 1))
        elif kind < 0.85:
            self.put(at, source.choice((source.randbytes(count), bytes(count))))
        elif kind < 0.92:
            self.cut(at, len(self.data))
        else:
            self.put(len(self.data), source.randbytes(count))

    def has(self, start: int, size: int) -> bool:
        """Whether these bytes of the undamaged file still stand somewhere, side by side."""
        return self.made.data[start : start + size] in self.data

    def survivors(self) -> list[int]:
        """Numbers of the blocks that are whole."""
        starts = self.made.block_starts
        return [i for i, (a, b) in enumerate(pairwise(starts))
                if self.has(a, b - a)]  # fmt: skip

    @property
    def has_end(self) -> bool:
        return self.has(self.made.block_starts[-1], TRAILER_SIZE)

    @property
    def has_header(self) -> bool:
        return self.has(0, HEADER_SIZE)


def read(data: bytes) -> tuple[Reader, list[tuple[int, Codes]], int]:
    """The reader, each whole block with the frame it begins at, and how many frames there are."""
    reader = Reader(io.BytesIO(data))
    at, found = 0, []
    for block in reader.blocks():
        if block.codes is not None:
            found.append((at, np.stack(block.codes)))
        at += block.frames
    assert at == reader.frames
    return reader, found, at
