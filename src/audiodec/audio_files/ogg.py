"""Ogg: the pages of a file, the streams that follow each other in it, and what is torn.

Format: RFC 3533. Streams one after the other ("chained") are what recorders of radio write.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from audiodec.audio_files.finding import Finding, left_over

MARK = b"OggS"
BEGINS, ENDS = 2, 4  # flags of a page
SCAN_BYTES = 1 << 16  # bytes at once, where a page is looked for


def look(file: BinaryIO, size: int, start: bytes) -> Finding | None:
    """Look at a file; None if it is not Ogg."""
    if start[:4] != MARK:
        return None
    begins: list[int] = []
    numbers: dict[int, int] = {}  # of the next page, by stream
    running: set[int] = set()  # streams that have not ended
    torn, heads, at, stop = False, False, 0, 0
    while at < size:
        page = _page(file, at)
        if page is None or page.end > size:
            after = _next(file, at + 1)
            if after is None:
                torn |= page is not None
                break
            at, torn = after, True
            continue
        if page.flags & BEGINS and not heads:
            begins.append(at)
            running.clear()
        heads = bool(page.flags & BEGINS)
        torn |= not heads and numbers.get(page.stream, page.number) != page.number
        numbers[page.stream] = page.number + 1
        running.add(page.stream)
        if page.flags & ENDS:
            running.discard(page.stream)
        at = stop = page.end
    if not begins:
        return Finding.whole(size, trusted=False)
    remarks: tuple[str, ...] = ()
    if torn or running:
        remarks = ("it is cut off or damaged; how much is missing, Ogg does not tell",)
    elif size > stop:
        remarks = left_over(size - stop)
    links = tuple(((b, e),) for b, e in zip(begins, [*begins[1:], size], strict=True))
    return Finding(links, trusted=not torn, remarks=remarks)


@dataclass(frozen=True)
class _Page:
    flags: int
    stream: int
    number: int
    end: int


def _page(file: BinaryIO, at: int) -> _Page | None:
    """Read the page that begins there."""
    file.seek(at)
    head = file.read(27)
    if len(head) < 27 or head[:4] != MARK:
        return None
    lengths = file.read(head[26])
    stream, number = (int.from_bytes(head[i : i + 4], "little") for i in (14, 18))
    cut = head[26] - len(lengths)  # a table that is cut off itself
    return _Page(head[5], stream, number, at + 27 + head[26] + sum(lengths) + cut)


def _next(file: BinaryIO, at: int) -> int | None:
    kept = b""
    file.seek(at)
    while piece := file.read(SCAN_BYTES):
        text = kept + piece
        if (found := text.find(MARK)) >= 0:
            return at - len(kept) + found
        at += len(piece)
        kept = text[-3:]
    return None
