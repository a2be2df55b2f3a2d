"""The `.adc` file: a header, blocks of packets with CRC-32, a trailer. See docs/format.md.

Every block but the last holds the same number of frames, so a block is found by arithmetic. What a
damaged file still holds is found by `reader` and `survey`.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from audiodec.arrays import Codes
from audiodec.bitstream.packet import pack, packet_size
from audiodec.errors import FormatError

MAGIC = b"\x89ADC\r\n\x1a\n"  # as in PNG: shows damage by text-mode transfer
VERSION = 1
MAX_BLOCK_S = 2.56  # seconds of sound in a block, and so lost with it, at the most

_HEADER = struct.Struct("<8sBBBBHHIII8s24s")  # followed by its CRC-32
_CRC = struct.Struct("<I")
BLOCK_HEAD = struct.Struct("<IH")  # CRC-32 of what follows, frames (0: this is the trailer)
CRC_SIZE = _CRC.size
_TRAILER = struct.Struct("<IHQ")  # CRC-32 of what follows, 0, samples per channel
HEADER_SIZE, TRAILER_SIZE = _HEADER.size + CRC_SIZE, _TRAILER.size
ROUNDING_SAMPLES = 8  # samples that resampling there and back may round off

MAX_CHANNELS, MAX_BLOCK_FRAMES, MAX_FRAME_BITS = 64, 4096, 1024  # bound what is read at once


def frames_per_block(model_rate: int, hop: int) -> int:
    """Choose the frames of a block: the largest power of two that lasts at most MAX_BLOCK_S."""
    frames = max(1, int(MAX_BLOCK_S * model_rate / hop))
    return min(1 << frames.bit_length() - 1, MAX_BLOCK_FRAMES)


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
    block_frames: int

    @property
    def block_size(self) -> int:
        """Bytes of a full block."""
        return self.size_of(self.block_frames)

    def size_of(self, frames: int) -> int:
        """Count the bytes of a block of so many frames."""
        return BLOCK_HEAD.size + self.channels * packet_size(frames, self.codebooks, self.bits)

    def frames_in(self, size: int) -> int:
        """Count the frames that a block of `size` bytes or a little less would hold."""
        packet = max(0, size - BLOCK_HEAD.size) // self.channels
        return min(8 * packet // (self.codebooks * self.bits), self.block_frames)

    def frames_of(self, samples: int) -> int:
        """Count the frames that code `samples` at the original's rate; resampling may make it one
        more."""
        return -(-samples * self.model_rate // (self.rate * self.hop))

    def fits(self, frames: int, samples: int) -> bool:
        """Tell whether so many frames can be what a file of `samples` holds."""
        excess = frames * self.hop * self.rate / self.model_rate - samples
        return -ROUNDING_SAMPLES <= excess < self.most_excess

    @property
    def most_excess(self) -> int:
        """Samples, at the original's rate, that the last frame may reach beyond the end."""
        return math.ceil(self.hop * self.rate / self.model_rate) + ROUNDING_SAMPLES

    def whole_frames(self, data: bytes) -> int:
        """Count the frames of the block that `data` begins with; 0 where none is whole."""
        if len(data) <= BLOCK_HEAD.size:
            return 0
        crc, frames = BLOCK_HEAD.unpack_from(data)
        if not 0 < frames <= self.block_frames or self.size_of(frames) > len(data):
            return 0
        body = memoryview(data)[CRC_SIZE : self.size_of(frames)]
        return int(frames) if zlib.crc32(body) == crc else 0

    def packets(self, block: bytes) -> list[bytes]:
        """Cut a whole block into the packet of each stream."""
        body = block[BLOCK_HEAD.size :]
        size = len(body) // self.channels
        return [body[i : i + size] for i in range(0, len(body), size)]

    def is_padded(self, block: bytes) -> bool:
        """Tell whether a whole block's packets end in zero bits, as a block that we wrote does."""
        frames = BLOCK_HEAD.unpack_from(block)[1]
        unused = (1 << -frames * self.codebooks * self.bits % 8) - 1
        return not any(packet[-1] & unused for packet in self.packets(block))

    def to_bytes(self) -> bytes:
        body = _HEADER.pack(
            MAGIC, VERSION, self.channels, self.codebooks, self.bits, self.hop, self.block_frames,
            self.model_rate, self.rate, 0, self.weights_hash, self.model_id.encode("ascii"),
        )  # fmt: skip
        return body + _CRC.pack(zlib.crc32(body))

    @classmethod
    def follows(cls, data: bytes) -> bool:
        """Tell whether these bytes begin with a header: of another file, put behind this one."""
        try:
            cls.from_bytes(data)
        except FormatError:
            return False
        return True

    @classmethod
    def from_bytes(cls, data: bytes) -> Header:
        """Read a header. Raises FormatError: no .adc file, a newer version, damaged, or absurd
        values."""
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
        """Write codes [codebooks, frames] of each channel; only the last block may be short."""
        payload = b"".join(pack(codes, self.header.bits) for codes in channels)
        body = struct.pack("<H", channels[0].shape[1]) + payload
        self.total_bytes += self.file.write(_CRC.pack(zlib.crc32(body)) + body)
        self.payload_bytes += len(payload)

    def finish(self, samples: int) -> None:
        """Write the trailer, which tells the exact length in samples.

        Args:
            samples: exact length of each channel, at the original rate.
        """
        body = struct.pack("<HQ", 0, samples)
        self.total_bytes += self.file.write(_CRC.pack(zlib.crc32(body)) + body)


def trailer_samples(data: bytes) -> int | None:
    """Read the exact length that a trailer tells, or None when these bytes are no trailer."""
    if len(data) != _TRAILER.size:
        return None
    crc, frames, samples = _TRAILER.unpack(data)
    whole = frames == 0 and zlib.crc32(data[CRC_SIZE:]) == crc
    return int(samples) if whole else None
