"""A packet: the codes of a whole number of frames, bit-packed, nothing else.

Frame after frame, in each frame codebook after codebook, each code in `bits` bits, most significant
bit first. Only the end of the packet is padded, with fewer than 8 zero bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audiodec.errors import FormatError

Codes = NDArray[np.int64]


def packet_size(frames: int, num_codebooks: int, bits: int) -> int:
    """Bytes of a packet."""
    return (frames * num_codebooks * bits + 7) // 8


def pack(codes: Codes, bits: int) -> bytes:
    """Codes [codebooks, frames], each below 2**bits -> bytes.

    Raises:
        FormatError: a code does not fit its bits.
    """
    if codes.size and not 0 <= int(codes.min()) <= int(codes.max()) < 1 << bits:
        raise FormatError(f"codes must lie in 0..{(1 << bits) - 1}")
    shifts = np.arange(bits - 1, -1, -1)
    planes = (codes.T[..., None] >> shifts) & 1  # [frames, codebooks, bits]
    return np.packbits(planes.astype(np.uint8).ravel()).tobytes()


def unpack(packet: bytes, frames: int, num_codebooks: int, bits: int) -> Codes:
    """Bytes -> codes [codebooks, frames].

    Raises:
        FormatError: the length does not fit, or padding bits are set.
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


def codebooks_of(packet: bytes, frames: int, bits: int) -> int:
    """How many codebooks a packet of `frames` frames carries, from its length.

    Raises:
        FormatError: no number of codebooks gives that length.
    """
    num_codebooks = 8 * len(packet) // (frames * bits)
    if num_codebooks == 0 or packet_size(frames, num_codebooks, bits) != len(packet):
        raise FormatError(f"{len(packet)} bytes are no packet of {frames} frames")
    return num_codebooks
