"""MPEG audio (MP3): its frames counted, because many files do not say how many there are.

Frames: ISO/IEC 11172-3 and 13818-3. The tag in the first one: Xing, and LAME's addition to it,
http://gabriel.mp3-tech.org/mp3infotag.html.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import BinaryIO

from audiodec.audio_files.finding import Finding, left_over

SEARCH_BYTES = 1 << 18  # bytes in which a first frame is looked for
AGREEING_FRAMES = 3  # frames that have to follow each other, for a first one to be believed
RATES_HZ = (44100, 48000, 32000)  # Hz, of version 1
KBPS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}  # by version (2.5 is like 2) and layer (in version 2, III is like II)
FRAMES, BYTES = 1, 2  # flags of a tag


@dataclass(frozen=True)
class _Frame:
    kind: tuple[int, int, int]  # version, layer, rate: the same in all frames of a stream
    samples: int
    length: int  # bytes
    tag: int  # where in the frame a tag would be


def look(file: BinaryIO, size: int, start: bytes) -> Finding | None:
    """Look at a file; None if it does not begin with an ID3 tag or a frame."""
    at = _id3(start)
    if not at and _frame(start[:4]) is None:
        return None
    walk = _Walk(file, size)
    # A tag's length may lie, too.
    first = walk.search(at, SEARCH_BYTES) or walk.search(0, SEARCH_BYTES)
    if first is None:
        return None
    walk.all(first)
    file.seek(first)
    frame = _frame(file.read(4))
    assert frame is not None
    head, claimed = b"", walk.frames
    if frame.tag:
        head, claimed = _tag(walk, frame, first)
    remarks = left_over(walk.behind)
    if walk.cut:
        remarks = ("it is cut off in the middle of a frame; what followed is missing",)
    elif walk.skipped:
        remarks += (f"{walk.skipped} damaged bytes between its frames are left out",)
    trusted = bool(frame.tag) and not (walk.cut or walk.skipped)
    if trusted and claimed == walk.frames + 1:
        claimed = walk.frames  # some encoders count the tag's own frame
    lacking = max(1.0, claimed / max(1, walk.frames))
    return Finding(((head, *walk.parts),), lacking, trusted=trusted, remarks=remarks)


def _tag(walk: _Walk, frame: _Frame, first: int) -> tuple[bytes, int]:
    """Build a first frame that counts the frames which are there, and how many there should be.

    One that was there is corrected, and so keeps what it says of the encoder's delay.
    """
    count, at = walk.frames.to_bytes(4, "big"), frame.tag
    old = walk.tag or b""
    if old[at : at + 4] in (b"Xing", b"Info") and old[at + 7] & FRAMES:
        claimed = int.from_bytes(old[at + 8 : at + 12], "big")
        new = bytearray(old)
        new[at + 8 : at + 12] = count
        if old[at + 7] & BYTES:
            new[at + 12 : at + 16] = walk.length.to_bytes(4, "big")
        if claimed != walk.frames and len(old) > at + 144:
            new[at + 142] &= 0xF0  # the padding at the end is gone, or not at the end
            new[at + 143] = 0
        return bytes(new), claimed
    head = bytearray(walk.read(first, 4))
    head[1] |= 1  # no CRC
    head[2] = (head[2] & 0x0D) | 0xE0  # the highest rate, so that the tag fits
    made = _frame(bytes(head))
    assert made is not None
    tag = bytes(head).ljust(at, b"\0") + b"Xing" + FRAMES.to_bytes(4, "big") + count
    return tag.ljust(made.length, b"\0"), walk.frames


def _id3(start: bytes) -> int:
    """Bytes of an ID3v2 tag at the start."""
    if start[:3] != b"ID3" or len(start) < 10:
        return 0
    length = 0
    for byte in start[6:10]:
        length = length << 7 | byte & 0x7F
    return 10 + length


def _frame(head: bytes) -> _Frame | None:
    """Read what a header says; None if it is none, or of free format, which gives no length."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version = {3: 1, 2: 2, 0: 25}.get(head[1] >> 3 & 3)
    layer, bits, rate = 4 - (head[1] >> 1 & 3), head[2] >> 4, head[2] >> 2 & 3
    if version is None or layer == 4 or bits in (0, 15) or rate == 3:
        return None
    first = version == 1
    hertz = RATES_HZ[rate] // {1: 1, 2: 2, 25: 4}[version]
    kbps = KBPS[(1, layer) if first else (2, min(layer, 2))][bits - 1]
    pad = head[2] >> 1 & 1
    if layer == 1:
        return _Frame((version, layer, hertz), 384, (12_000 * kbps // hertz + pad) * 4, 0)
    samples = 1152 if first or layer == 2 else 576
    mono = head[3] >> 6 == 3
    side = (17 if mono else 32) if first else (9 if mono else 17)
    return _Frame(
        (version, layer, hertz), samples, samples // 8 * 1000 * kbps // hertz + pad, 4 + side
    )


@dataclass
class _Walk:
    """The frames of a file.

    Attributes:
        parts: stretches of frames of sound.
        frames, samples: how many are in them.
        tag: the first frame, if it holds no sound but a count of frames.
        cut: the last frame is cut off.
        skipped: bytes between frames that are none.
        behind: bytes behind the last frame.
    """

    file: BinaryIO
    size: int
    parts: list[tuple[int, int]] = field(default_factory=list)
    frames: int = 0
    tag: bytes | None = None
    cut: bool = False
    skipped: int = 0
    behind: int = 0

    def search(self, at: int, within: int, kind: tuple[int, int, int] | None = None) -> int | None:
        """Where frames begin."""
        self.file.seek(at)
        text = self.file.read(within)
        found = text.find(b"\xff")
        while found >= 0:
            frame = _frame(text[found : found + 4])
            if frame and kind in (None, frame.kind) and self._follow(at + found, frame):
                return at + found
            found = text.find(b"\xff", found + 1)
        return None

    def _follow(self, at: int, frame: _Frame) -> bool:
        kind = frame.kind
        for _ in range(AGREEING_FRAMES - 1):
            at += frame.length
            if at == self.size:
                return True
            next_frame = _frame(self.read(at, 4))
            if next_frame is None or next_frame.kind != kind:
                return False
            frame = next_frame
        return True

    def read(self, at: int, count: int) -> bytes:
        self.file.seek(at)
        return self.file.read(count)

    def all(self, at: int) -> None:
        """Go through all frames from the first one on."""
        kind, begin = None, at
        while True:
            head = self.read(at, 44)
            frame = _frame(head)
            if frame is None or kind not in (None, frame.kind):
                self._sound(begin, at)
                found = self.search(at, SEARCH_BYTES, kind) if head else None
                if found is None:
                    self.behind = 0 if head[:8] == b"APETAGEX" else self.size - at
                    return
                self.skipped += 0 if head[:3] == b"ID3" else found - at
                begin = at = found
                continue
            end = at + frame.length
            if end > self.size:
                self._sound(begin, at)
                self.cut = True
                return
            if _is_tag(head, frame):
                self._sound(begin, at)
                begin = end
                if kind is None:
                    self.tag = self.read(at, frame.length)
            else:
                self.frames += 1
            kind, at = frame.kind, end

    def _sound(self, begin: int, end: int) -> None:
        if end > begin:
            self.parts.append((begin, end))

    @property
    def length(self) -> int:
        """Bytes, the tag's with them."""
        sound = sum(stop - start for start, stop in self.parts)
        return min(2**32 - 1, len(self.tag or b"") + sound)


def _is_tag(head: bytes, frame: _Frame) -> bool:
    at = frame.tag
    return bool(at) and (head[at : at + 4] in (b"Xing", b"Info") or head[36:40] == b"VBRI")
