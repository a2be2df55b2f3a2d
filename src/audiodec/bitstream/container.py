"""The `.adc` file: a header, blocks of packets with CRC-32, a trailer. See docs/format.md.

Every block but the last holds the same number of frames, so a block is found by arithmetic.
Damage in one block costs that block alone; a truncated file is read up to its last whole block.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from audiodec.arrays import Codes
from audiodec.bitstream.packet import pack, packet_size, unpack
from audiodec.errors import FormatError

MAGIC = b"\x89ADC\r\n\x1a\n"  # as in PNG: shows damage by text-mode transfer
VERSION = 1
BLOCK_FRAMES = 256  # frames per block: 1.7 s at 150 frames/s

_HEADER = struct.Struct("<8sBBBBHHIII8s24s")  # followed by its CRC-32
_CRC = struct.Struct("<I")
_BLOCK = struct.Struct("<IH")  # CRC-32 of what follows, frames (0: this is the trailer)
_TRAILER = struct.Struct("<IHQ")  # CRC-32 of what follows, 0, samples per channel
HEADER_SIZE = _HEADER.size + _CRC.size

MAX_CHANNELS, MAX_BLOCK_FRAMES, MAX_FRAME_BITS = 64, 4096, 1024  # bound what is read at once


@dataclass(frozen=True)
class Header:
    """What a decoder must know before the first block."""

    model_id: str  # at most 24 ASCII characters
    weights_hash: bytes  # first 8 bytes of the SHA-256 of the model's weights
    model_rate: int  # Hz at which the codec runs
    rate: int  # Hz of the original, to which decoding returns
    channels: int  # coded one by one
    hop: int  # samples per frame at `model_rate`
    codebooks: int
    bits: int  # of one code
    block_frames: int = BLOCK_FRAMES

    @property
    def channel_size(self) -> int:
        """Bytes of one channel in a full block."""
        return packet_size(self.block_frames, self.codebooks, self.bits)

    @property
    def block_size(self) -> int:
        """Bytes of a full block."""
        return _BLOCK.size + self.channels * self.channel_size

    def to_bytes(self) -> bytes:
        body = _HEADER.pack(
            MAGIC, VERSION, self.channels, self.codebooks, self.bits, self.hop, self.block_frames,
            self.model_rate, self.rate, 0, self.weights_hash, self.model_id.encode("ascii"),
        )  # fmt: skip
        return body + _CRC.pack(zlib.crc32(body))

    @classmethod
    def from_bytes(cls, data: bytes) -> Header:
        """Raises FormatError: not an .adc file, a newer version, damaged, or absurd values."""
        if data[: len(MAGIC)] != MAGIC:
            raise FormatError("not an .adc file: the first bytes are not its signature")
        if len(data) < HEADER_SIZE:
            raise FormatError("the file ends inside its header")
        body, (crc,) = data[: _HEADER.size], _CRC.unpack_from(data, _HEADER.size)
        if zlib.crc32(body) != crc:
            raise FormatError("the file's header is damaged (CRC differs)")
        (_, version, channels, codebooks, bits, hop, block_frames, model_rate, rate, reserved,
         weights_hash, model_id) = _HEADER.unpack(body)  # fmt: skip
        if version != VERSION or reserved:
            raise FormatError(f"the file has format version {version}; this reads {VERSION}")
        sane = (
            0 < channels <= MAX_CHANNELS
            and 0 < codebooks * bits <= MAX_FRAME_BITS
            and 0 < bits <= 16
            and 0 < block_frames <= MAX_BLOCK_FRAMES
            and hop > 0
            and 1000 <= model_rate <= 768_000
            and 1000 <= rate <= 768_000
        )
        name = model_id.rstrip(b"\0")
        if not sane or not name.isascii() or not name.decode("ascii", "replace").isprintable():
            raise FormatError("the file's header holds impossible values")
        return cls(
            model_id=name.decode("ascii"), weights_hash=weights_hash, model_rate=model_rate,
            rate=rate, channels=channels, hop=hop, codebooks=codebooks, bits=bits,
            block_frames=block_frames,
        )  # fmt: skip


class Writer:
    """Writes a file front to back, so that it may be a pipe and its length unknown.

    Use: `write_block` for each block, then `finish` with the exact length.
    """

    def __init__(self, file: BinaryIO, header: Header) -> None:
        self.file, self.header = file, header
        self.payload_bytes = 0  # of packets; the rest of the file is overhead
        self.total_bytes = file.write(header.to_bytes())

    def write_block(self, channels: list[Codes]) -> None:
        """Codes [codebooks, frames] of each channel; only the last block may be short."""
        payload = b"".join(pack(codes, self.header.bits) for codes in channels)
        body = struct.pack("<H", channels[0].shape[1]) + payload
        self.total_bytes += self.file.write(_CRC.pack(zlib.crc32(body)) + body)
        self.payload_bytes += len(payload)

    def finish(self, samples: int) -> None:
        """Write the trailer.

        Args:
            samples: exact length of each channel, at the original rate.
        """
        body = struct.pack("<HQ", 0, samples)
        self.total_bytes += self.file.write(_CRC.pack(zlib.crc32(body)) + body)


@dataclass(frozen=True)
class Block:
    """Some frames of every channel.

    Attributes:
        frames: how many.
        codes: [codebooks, frames] per channel, or None when the block is damaged.
    """

    frames: int
    codes: list[Codes] | None


class Reader:
    """Reads a file front to back; never more than two blocks are held.

    After `blocks` is exhausted, `samples` is the exact length at the original rate, or None when
    the file is truncated, and `damaged` counts the blocks whose CRC differed.

    Raises:
        FormatError: the header is unusable.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.header = Header.from_bytes(read_up_to(file, HEADER_SIZE))
        self.samples: int | None = None
        self.damaged = 0
        self.payload_bytes = 0
        self.total_bytes = HEADER_SIZE

    def seek(self, block: int) -> None:
        """Go to a block by number; the file must be seekable."""
        self.file.seek(HEADER_SIZE + block * self.header.block_size)

    def blocks(self) -> Iterator[Block]:
        """The blocks in order."""
        full, ahead = self.header.block_size, b""
        while True:
            ahead += read_up_to(self.file, full + _TRAILER.size - len(ahead))
            self.samples = _trailer_samples(ahead[: _TRAILER.size])
            if self.samples is not None:
                self.total_bytes += _TRAILER.size
                return
            if len(ahead) >= full + _TRAILER.size or self._intact(ahead[:full]):
                block, ahead = ahead[:full], ahead[full:]
            elif _trailer_samples(ahead[-_TRAILER.size :]) is not None:
                block, ahead = ahead[: -_TRAILER.size], ahead[-_TRAILER.size :]
            else:  # truncated: what is left may still be a whole short block
                if self._intact(ahead):
                    yield self._block(ahead)
                return
            yield self._block(block)

    def _frames_in(self, size: int) -> int:
        """Frames that a block of `size` bytes holds."""
        channel = (size - _BLOCK.size) // self.header.channels
        return min(
            8 * channel // (self.header.codebooks * self.header.bits), self.header.block_frames
        )

    def _intact(self, data: bytes) -> bool:
        if len(data) <= _BLOCK.size:
            return False
        crc, frames = _BLOCK.unpack_from(data)
        size = packet_size(frames, self.header.codebooks, self.header.bits) * self.header.channels
        return (
            0 < frames <= self.header.block_frames
            and len(data) == _BLOCK.size + size
            and zlib.crc32(data[_CRC.size :]) == crc
        )

    def _block(self, data: bytes) -> Block:
        self.total_bytes += len(data)
        header = self.header
        if self._intact(data):
            frames = _BLOCK.unpack_from(data)[1]
            size = packet_size(frames, header.codebooks, header.bits)
            parts = [data[i : i + size] for i in range(_BLOCK.size, len(data), size)]
            try:
                codes = [unpack(part, frames, header.codebooks, header.bits) for part in parts]
            except FormatError:  # an intact CRC over set padding bits: made on purpose
                pass
            else:
                self.payload_bytes += len(data) - _BLOCK.size
                return Block(frames, codes)
        self.damaged += 1
        return Block(self._frames_in(len(data)), None)


def _trailer_samples(data: bytes) -> int | None:
    """The exact length that a trailer tells, or None when these bytes are no trailer."""
    if len(data) != _TRAILER.size:
        return None
    crc, frames, samples = _TRAILER.unpack(data)
    whole = frames == 0 and zlib.crc32(data[_CRC.size :]) == crc
    return int(samples) if whole else None


def read_up_to(file: BinaryIO, size: int) -> bytes:
    """`size` bytes, or fewer at the end; a pipe may give them in pieces."""
    data = b""
    while len(data) < size:
        piece = file.read(size - len(data))
        if not piece:
            break
        data += piece
    return data
