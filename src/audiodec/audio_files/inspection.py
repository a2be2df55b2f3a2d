"""What a sound file's bytes say about its length, before libsndfile is asked."""

from __future__ import annotations

from dataclasses import replace
from typing import BinaryIO, Literal

from audiodec.audio_files import chunks, flac, mpeg, ogg
from audiodec.audio_files.finding import Finding, left_over

SDS_HEAD_BYTES, SDS_BLOCK_BYTES = 21, 127


def inspect(file: BinaryIO, size: int) -> Finding:
    """Look at a file of `size` bytes; a format without an own way of looking is taken as it is."""
    file.seek(0)
    start = file.read(64)
    for look in (chunks.look, flac.look, ogg.look, mpeg.look):
        found = look(file, size, start)
        if found is not None:
            return found
    if start[:4] in (b".snd", b"dns."):
        return _au(start, size)
    if start[:2] == b"\xf0\x7e":
        return _sds(file, start, size)
    return Finding.whole(size)


def _au(start: bytes, size: int) -> Finding:
    """AU (Sun): bytes behind the end; what is missing libsndfile knows itself."""
    order: Literal["big", "little"] = "big" if start[:1] == b"." else "little"
    offset, length = (int.from_bytes(start[i : i + 4], order) for i in (4, 8))
    return Finding.whole(size, *left_over(size - offset - length if length else 0))


def _sds(file: BinaryIO, start: bytes, size: int) -> Finding:
    """MIDI sample dump (SDS): whole or not at all.

    libsndfile makes silence of what is missing, and prints to stdout, which may be our output.
    """
    start = start.ljust(SDS_HEAD_BYTES, b"\0")
    samples = start[10] | start[11] << 7 | start[12] << 14
    width = 2 if start[6] < 15 else 3 if start[6] < 22 else 4  # bytes of a sample
    file.seek(SDS_HEAD_BYTES)
    blocks = file.read(-(-samples * width // 120) * SDS_BLOCK_BYTES)
    heads = (blocks[at : at + 2] for at in range(0, len(blocks), SDS_BLOCK_BYTES))
    whole = len(blocks) == -(-samples * width // 120) * SDS_BLOCK_BYTES
    if not whole or any(head != b"\xf0\x7e" for head in heads):
        return replace(Finding.whole(size), refused="is a damaged or unfinished MIDI sample dump")
    return Finding.whole(size, *left_over(size - SDS_HEAD_BYTES - len(blocks)))
