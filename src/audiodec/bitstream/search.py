"""Where whole blocks lie in damaged bytes: every offset is tried, in time linear in the bytes."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterator
from itertools import pairwise
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from audiodec.bitstream.container import CRC_SIZE

MIN_OFFSETS, MAX_OFFSETS = 1 << 10, 1 << 20  # tried at once: little work where a block is near


def find_block(file: BinaryIO, start: int, stop: int, size: int, frames: int) -> int:
    """Find the first offset from `start` on where a block of `frames` frames is whole, or `stop`.

    Args:
        stop: where it must have ended.
        size: of such a block, bytes, its CRC included.
        frames: what the block says of itself; 0 finds a trailer.
    """
    for first, data in pieces(file, start, stop, size - 1):
        found = _first_whole(data, size, frames)
        if found is not None:
            return first + found
    return stop


def pieces(file: BinaryIO, start: int, stop: int, overlap: int) -> Iterator[tuple[int, bytes]]:
    """Read longer and longer pieces of a file, each with `overlap` of the next: offset, bytes."""
    step = MIN_OFFSETS
    while start + overlap < stop:
        file.seek(start)
        yield start, file.read(min(step + overlap, stop - start))
        start += step
        step = min(2 * step, MAX_OFFSETS)


def _first_whole(data: bytes, size: int, frames: int) -> int | None:
    """Try offsets one by one: n would cost n * size; whoever makes a file could make that hours.

    So the CRC is run once over all bytes. That of a window then follows, because CRCs are linear:
    crc(window) = crc(up to its end) xor carry(crc(up to its start)), where `carry` runs a CRC on
    over as many zero bytes as the window has.
    """
    count = len(data) - size + 1
    if count <= 0:
        return None
    octets = np.frombuffer(data, np.uint8)
    low, high = (octets[CRC_SIZE + i : CRC_SIZE + i + count] for i in (0, 1))
    stored = sum(octets[i : i + count].astype(np.uint32) << np.uint32(8 * i) for i in range(4))
    # A stored CRC of 0 is left out: long runs of zero bytes are common, and are no trailers.
    starts = np.flatnonzero((low == frames & 255) & (high == frames >> 8) & (stored != 0))
    if not len(starts):
        return None
    needed = np.zeros(len(data) + 1, bool)
    needed[starts + CRC_SIZE] = needed[starts + size] = True
    points = np.flatnonzero(needed)
    view, crc, crcs = memoryview(data), 0, []
    for begin, end in pairwise([0, *points.tolist()]):
        crc = zlib.crc32(view[begin:end], crc)
        crcs.append(crc)
    crc_up_to = np.zeros(len(data) + 1, np.uint32)
    crc_up_to[points] = crcs
    at_start, at_end = crc_up_to[starts + CRC_SIZE], crc_up_to[starts + size]
    whole = (at_end ^ _carry(at_start, size - CRC_SIZE)) == np.asarray(stored)[starts]
    return int(starts[np.argmax(whole)]) if whole.any() else None


def _carry(crcs: NDArray[np.uint32], size: int) -> NDArray[np.uint32]:
    """Each CRC run on over `size` zero bytes, less what the zeros alone would give."""
    carried = np.zeros_like(crcs)
    for bit, effect in enumerate(_bit_effects(size)):
        carried ^= ((crcs >> np.uint32(bit)) & np.uint32(1)) * np.uint32(effect)
    return carried


@functools.lru_cache(maxsize=8)
def _bit_effects(size: int) -> list[int]:
    """Compute what each of the 32 bits of a CRC has become after `size` zero bytes."""
    zeros = bytes(size)
    return [zlib.crc32(zeros, 1 << bit) ^ zlib.crc32(zeros) for bit in range(32)]
