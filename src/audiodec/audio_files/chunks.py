"""Chunks of WAV, RF64, W64, AIFF, 8SVX and CAF: how long the sound claims to be, and is.

RIFF: Microsoft, "Multimedia Programming Interface 1.0"; RF64: EBU Tech 3306; W64: Sony Sound Forge;
AIFF: Apple, 1989; CAF: Apple, "Core Audio Format Specification".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO, Literal

from audiodec.audio_files.finding import Finding, left_over
from audiodec.audio_files.view import Part

MAX_CHUNKS = 10_000  # chunks looked at
UNKNOWN_32 = (*range(0x7FFF_F000, 0x8000_0001), *range(0xFFFF_F000, 0x1_0000_0000))


@dataclass(frozen=True)
class _Layout:
    """How chunks of a container are written.

    Attributes:
        first: offset of the first chunk.
        name, length: bytes of a chunk's name and of its length.
        counts_itself: the length has the name and itself in it.
        pad: chunks begin at multiples of so many bytes.
        sound: names of the chunk of samples.
        before: bytes in that chunk before the samples.
    """

    first: int
    name: int
    length: int
    order: Literal["little", "big"]
    counts_itself: bool
    pad: int
    sound: tuple[bytes, ...]
    before: int = 0

    @property
    def head(self) -> int:
        return self.name + self.length


@dataclass(frozen=True)
class _Chunk:
    name: bytes
    start: int  # of what is in it
    length: int


_RIFF = _Layout(12, 4, 4, "little", False, 2, (b"data",))
_RIFX = _Layout(12, 4, 4, "big", False, 2, (b"data",))
_IFF = _Layout(12, 4, 4, "big", False, 2, (b"SSND", b"BODY"), before=8)
_CAF = _Layout(8, 4, 8, "big", False, 1, (b"data",), before=4)
_W64 = _Layout(
    40, 16, 8, "little", True, 8, (b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a",)
)
_LAYOUTS = {
    b"RIFF": _RIFF, b"RF64": _RIFF, b"BW64": _RIFF, b"RIFX": _RIFX, b"FORM": _IFF, b"caff": _CAF,
    b"riff": _W64,
}  # fmt: skip


def look(file: BinaryIO, size: int, start: bytes) -> Finding | None:
    """Look at a file; None if it does not begin like one of these containers."""
    layout = _LAYOUTS.get(start[:4])
    if layout is None:
        return None
    long = 0  # bytes of sound, as RF64 says beside the chunk
    for chunk in _walk(file, size, layout, layout.first):
        if chunk.name == b"ds64":
            file.seek(chunk.start + 8)
            long = int.from_bytes(file.read(8), "little")
        elif chunk.name in layout.sound:
            return _judge(file, size, layout, chunk, long)
    return Finding.whole(size)


def _walk(file: BinaryIO, size: int, layout: _Layout, position: int) -> Iterator[_Chunk]:
    for _ in range(MAX_CHUNKS):
        file.seek(position)
        head = file.read(layout.head)
        if len(head) < layout.head:
            return
        length = int.from_bytes(head[layout.name :], layout.order)
        if layout.counts_itself:
            length = max(0, length - layout.head)
        start = position + layout.head
        yield _Chunk(head[: layout.name], start, length)
        position = start + length + -(start + length) % layout.pad
        if position > size:
            return


def _judge(file: BinaryIO, size: int, layout: _Layout, sound: _Chunk, long: int) -> Finding:
    length = sound.length
    if layout is _RIFF and length == 0xFFFF_FFFF and long:
        length = long
    before = layout.before if sound.name != b"BODY" else 0
    there = size - sound.start
    if length <= before and there > before and not _tidy(file, size, layout, sound):
        return _mended(size, layout, sound, there)  # never finished: it ends with the file
    if _unknown(layout, length):
        return _mended(size, layout, sound, there) if layout is _CAF else Finding.whole(size)
    if length > there:
        claimed = (length - before) / max(1, there - before)
        found = _mended(size, layout, sound, there) if layout is _CAF else Finding.whole(size)
        return replace(found, claimed=claimed)
    end = sound.start + length
    for chunk in _walk(file, size, layout, end + -end % layout.pad):
        if not _plausible(chunk, layout) or chunk.start + chunk.length > size:
            break
        end = chunk.start + chunk.length
    return Finding.whole(min(end, size), *left_over(size - end))


def _unknown(layout: _Layout, length: int) -> bool:
    """Whether a length is what writers into pipes put there."""
    if layout.length == 4:
        return length in UNKNOWN_32
    return length >= 1 << 62


def _plausible(chunk: _Chunk, layout: _Layout) -> bool:
    known = all(32 <= c < 127 for c in chunk.name[:4])
    return known and chunk.name[:4] not in _LAYOUTS


def _tidy(file: BinaryIO, size: int, layout: _Layout, empty: _Chunk) -> bool:
    """Whether a chunk of no length is meant: other chunks follow, up to the end of the file."""
    end = empty.start + empty.length
    for chunk in _walk(file, size, layout, end + -end % layout.pad):
        if not _plausible(chunk, layout):
            return False
        end = chunk.start + chunk.length
    return size - end <= 1 and end > empty.start + empty.length


def _mended(size: int, layout: _Layout, sound: _Chunk, there: int) -> Finding:
    """Give the file with the length of its sound put right."""
    length = min(there + (layout.head if layout.counts_itself else 0), 256**layout.length - 2)
    at = sound.start - layout.length
    parts: tuple[Part, ...] = (
        (0, at), length.to_bytes(layout.length, layout.order), (sound.start, size),
    )  # fmt: skip
    return Finding((parts,))
