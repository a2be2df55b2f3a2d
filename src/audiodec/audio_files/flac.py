"""FLAC: where its streams begin, and whether the last block is the one that the header promises.

Format: RFC 9639.
"""

from __future__ import annotations

from functools import cache
from typing import BinaryIO

from audiodec.audio_files.finding import Finding
from audiodec.audio_files.view import Part

MARK = b"fLaC\x00\x00\x00\x22"  # and STREAMINFO, 34 bytes, which has to come first
TOTAL = 2**36 - 1  # mask of the samples per channel in STREAMINFO
SCAN_BYTES = 1 << 20  # bytes at once
MAX_CANDIDATES = 4  # heads of blocks there that are looked at; sound may look like one
MAX_TAIL_BYTES = 1 << 18  # bytes at the end of the file in which the last block is looked for
BLOCK_SIZES = {1: 192, **{n: 576 << (n - 2) for n in range(2, 6)}} | {
    n: 256 << (n - 8) for n in range(8, 16)
}


def look(file: BinaryIO, size: int, start: bytes) -> Finding | None:
    """Look at a file; None if there is no FLAC at the start, or behind an ID3 tag."""
    if start[:4] != b"fLaC" and start[:3] != b"ID3":
        return None
    begins = _marks(file)
    if not begins or (start[:3] == b"ID3" and not _tag_ends(start, begins[0])):
        return None
    links: list[tuple[Part, ...]] = []
    promised, trusted, remarks = 0, True, tuple[str, ...]()
    for begin, end in zip(begins, [*begins[1:], size], strict=True):
        file.seek(begin + 8)
        info = file.read(34).ljust(34, b"\0")
        total = int.from_bytes(info[13:18], "big") & TOTAL
        last = _last_sample(file, begin, end, info)
        if last and last == total:
            links.append(((begin, end),))
        else:  # without a promise, libsndfile reads what there is
            trusted, at = False, begin + 8 + 13
            links.append(((begin, at), bytes([info[13] & 0xF0, 0, 0, 0, 0]), (at + 5, end)))
        if not last and not total:
            remarks = ("it is cut off or damaged; how much is missing, it does not tell",)
        promised += total
    return Finding(tuple(links), promised=promised, trusted=trusted, remarks=remarks)


def _tag_ends(start: bytes, position: int) -> bool:
    length = 0
    for byte in start[6:10]:
        length = length << 7 | byte & 0x7F
    return 10 + length <= position <= 20 + length


def _marks(file: BinaryIO) -> list[int]:
    found, base, kept = [], 0, b""
    file.seek(0)
    while piece := file.read(SCAN_BYTES):
        text = kept + piece
        at = text.find(MARK)
        while at >= 0:
            found.append(base - len(kept) + at)
            at = text.find(MARK, at + 1)
        kept = text[-len(MARK) + 1 :]
        base += len(piece)
    return found


def _last_sample(file: BinaryIO, begin: int, end: int, info: bytes) -> int:
    """Count samples up to the end of the stream's last block; 0 if its last bytes are no whole
    block."""
    block = int.from_bytes(info[:2], "big")
    file.seek(max(begin, end - MAX_TAIL_BYTES))
    tail = file.read(end - file.tell())
    if tail[-128:-125] == b"TAG":  # ID3, as some tools put it behind every format
        tail = tail[:-128]
    at, tried = _sync(tail, len(tail)), 0
    while at >= 0 and tried < MAX_CANDIDATES:
        last = _last(tail[at : at + 16], block)
        if last and _crc(tail[at:], 16, 0x8005) == 0:
            return last
        tried += last > 0
        at = _sync(tail, at)
    return 0


def _sync(tail: bytes, before: int) -> int:
    return max(tail.rfind(b"\xff\xf8", 0, before), tail.rfind(b"\xff\xf9", 0, before))


def _last(head: bytes, block: int) -> int:
    """Find the sample behind the block that begins so; 0 if no block does."""
    if len(head) < 16:
        return 0
    code, number, at = head[2] >> 4, 0, 5
    more = 0
    while head[4] << more & 0x80:
        more += 1
    if more == 1 or more > 7:
        return 0
    number = head[4] & (0x7F >> more)
    for byte in head[5 : 4 + max(1, more)]:
        number = number << 6 | byte & 0x3F
        at += 1
    if code in (6, 7):
        length = int.from_bytes(head[at : at + code - 5], "big") + 1
        at += code - 5
    else:
        length = BLOCK_SIZES.get(code, 0)
    at += {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    if not length or at >= len(head) or _crc(head[: at + 1], 8, 0x07):
        return 0
    return (number if head[1] & 1 else number * block) + length


def _crc(data: bytes, bits: int, polynomial: int) -> int:
    """0 for bytes with their own CRC behind them."""
    table, top, mask = _table(bits, polynomial), bits - 8, (1 << bits) - 1
    value = 0
    for byte in data:
        value = (value << 8 & mask) ^ table[value >> top ^ byte]
    return value


@cache
def _table(bits: int, polynomial: int) -> list[int]:
    table = []
    for value in range(256):
        value <<= bits - 8
        for _ in range(8):
            value = value << 1 ^ (polynomial if value >> (bits - 1) else 0)
            value &= (1 << bits) - 1
        table.append(value)
    return table
