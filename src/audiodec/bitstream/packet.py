"""A packet: the codes of a whole number of frames, bit-packed, nothing else.

Frame after frame, in each frame codebook after codebook, each code in `bits` bits, most significant
bit first. Only the end of the packet is padded, with fewer than 8 zero bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audiodec.arrays import Codes
from audiodec.errors import FormatError


@dataclass(frozen=True)
class PacketFormat:
    """What both ends of a stream must agree on before its first packet.

    A packet carries the codes of the model's leading codebooks. How many is seen from its length,
    so the bitrate may change from packet to packet.

    Attributes:
        frames: In every packet.
        codebooks: Of the model: the most that a packet carries codes of.
        bits: Of one code, 1 to 16.
        hop: Samples per frame.
        sample_rate: Hz.
    """

    frames: int
    codebooks: int
    bits: int
    hop: int
    sample_rate: int

    @property
    def samples(self) -> int:
        """Samples of sound in a packet, per channel."""
        return self.frames * self.hop

    @property
    def seconds(self) -> float:
        """Seconds of sound in a packet."""
        return self.samples / self.sample_rate

    def size(self, num_codebooks: int) -> int:
        """Count the bytes of a packet.

        Args:
            num_codebooks: Leading codebooks whose codes it carries.
        """
        return packet_size(self.frames, num_codebooks, self.bits)

    def codebooks_of(self, packet: bytes) -> int:
        """Tell how many codebooks a packet carries codes of.

        Args:
            packet: Bytes from anywhere.

        Raises:
            FormatError: The bytes are no packet of this format: their number fits no number of
                codebooks that the model has, or padding bits are set.
        """
        count = 8 * len(packet) // (self.frames * self.bits)
        if not 1 <= count <= self.codebooks or self.size(count) != len(packet):
            raise FormatError(
                f"{len(packet)} bytes are no packet of {self.frames} frames and up to "
                f"{self.codebooks} codebooks"
            )
        padding = 8 * len(packet) - self.frames * count * self.bits
        if packet[-1] & ((1 << padding) - 1):
            raise FormatError("padding bits at the end of the packet are set")
        return count

    def pack(self, codes: Codes) -> bytes:
        """Write codes as a packet.

        Args:
            codes: Integers of the leading codebooks, [codebooks, frames].

        Raises:
            FormatError: A code does not fit its bits.
        """
        return pack(codes, self.bits)

    def unpack(self, packet: bytes) -> Codes:
        """Read the codes of a packet.

        Args:
            packet: Bytes from anywhere.

        Returns:
            Codes, int64, [codebooks, frames].

        Raises:
            FormatError: Like `codebooks_of`.
        """
        return unpack(packet, self.frames, self.codebooks_of(packet), self.bits)


@dataclass(frozen=True)
class Arrived:
    """What has arrived of one packet, when it is to be heard.

    Attributes:
        packet: Itself, or the best copy; None: it is lost.
        coarse: The packet is a copy in fewer codebooks than were sent: what they lack is lost.
        ahead: The packets after it, as far as they have arrived before their time; None for one
            that has not.
    """

    packet: bytes | None
    coarse: bool = False
    ahead: tuple[bytes | None, ...] = ()


def packet_size(frames: int, num_codebooks: int, bits: int) -> int:
    """Count the bytes of a packet."""
    return (frames * num_codebooks * bits + 7) // 8


def pack(codes: Codes, bits: int) -> bytes:
    """Write codes [codebooks, frames], each below 2**bits, as a packet.

    Raises:
        FormatError: A code does not fit its bits.
    """
    if codes.size and not 0 <= int(codes.min()) <= int(codes.max()) < 1 << bits:
        raise FormatError(f"codes must lie in 0..{(1 << bits) - 1}")
    shifts = np.arange(bits - 1, -1, -1)
    planes = (codes.T[..., None] >> shifts) & 1  # [frames, codebooks, bits]
    return np.packbits(planes.astype(np.uint8).ravel()).tobytes()


def unpack(packet: bytes, frames: int, num_codebooks: int, bits: int) -> Codes:
    """Read a packet whose frames and codebooks are known, as codes [codebooks, frames].

    Raises:
        FormatError: The length does not fit, or padding bits are set.
    """
    if len(packet) != packet_size(frames, num_codebooks, bits):
        raise FormatError(
            f"a packet of {frames} frames and {num_codebooks} codebooks has "
            f"{packet_size(frames, num_codebooks, bits)} bytes, not {len(packet)}"
        )
    flat = np.unpackbits(np.frombuffer(packet, np.uint8))
    used = frames * num_codebooks * bits
    if flat[used:].any():
        raise FormatError("padding bits at the end of the packet are set")
    weights = 1 << np.arange(bits - 1, -1, -1)
    values = flat[:used].reshape(frames, num_codebooks, bits) @ weights
    return np.ascontiguousarray(values.T, np.int64)
