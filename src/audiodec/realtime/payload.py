"""What one network packet carries: frames, and copies of earlier ones. See docs/rtp.md.

A copy holds only the leading stages of an earlier packet: a coarser sound, for few bytes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from audiodec.bitstream.packet import pack, packet_size, stages_of, unpack
from audiodec.errors import FormatError

MAX_FRAMES, MAX_COPIES, MAX_DISTANCE = 150, 3, 255


@dataclass(frozen=True)
class Payload:
    """A packet and copies of earlier ones.

    Attributes:
        packet: `frames` frames, as a streaming encoder gives them.
        copies: distance in packets (1: the one before) -> its leading stages.
    """

    packet: bytes
    copies: dict[int, bytes]


def to_bytes(payload: Payload, frames: int, bits: int) -> bytes:
    """Serialise.

    Args:
        frames: in every packet, 1 to 150.
        bits: of one code.
    """
    head = bytes([frames, len(payload.copies), stages_of(payload.packet, frames, bits)])
    listed = (
        bytes([distance, stages_of(copy, frames, bits)]) + copy
        for distance, copy in payload.copies.items()
    )
    return head + payload.packet + b"".join(listed)


def from_bytes(data: bytes, frames: int, bits: int, most_stages: int) -> Payload:
    """Parse what came from a network.

    Args:
        frames, bits, most_stages: what the stream was agreed to be.

    Raises:
        FormatError: damaged, hostile, or of another kind of stream.
    """
    if len(data) < 3:
        raise FormatError(f"a payload of {len(data)} bytes")
    found, copies, stages = data[0], data[1], data[2]
    if found != frames or copies > MAX_COPIES or not 0 < stages <= most_stages:
        raise FormatError(f"a payload of {found} frames, {copies} copies and {stages} stages")
    at = 3 + packet_size(frames, stages, bits)
    packet, listed = data[3:at], dict[int, bytes]()
    for _ in range(copies):
        if len(data) < at + 2 or not (data[at] and 0 < data[at + 1] <= most_stages):
            raise FormatError("a copy without its header")
        end = at + 2 + packet_size(frames, data[at + 1], bits)
        listed[data[at]] = data[at + 2 : end]
        at = end
    if len(data) != at or len(listed) != copies:
        raise FormatError(f"a payload of {len(data)} bytes where {at} were announced")
    return Payload(packet, listed)


class Redundancy:
    """Lets copies of earlier packets ride along.

    Args:
        frames, bits: of the packets.
        distance: how many packets later the copy is sent; above the usual burst of losses.
        stages: leading stages that are copied; 0 copies nothing. May be changed at any time.
    """

    def __init__(self, frames: int, bits: int, distance: int = 3, stages: int = 0) -> None:
        if not 1 <= distance <= MAX_DISTANCE or not 1 <= frames <= MAX_FRAMES:
            raise ValueError(f"a distance of {distance} or {frames} frames do not fit a payload")
        self.frames, self.bits, self.distance, self.stages = frames, bits, distance, stages
        self._sent: deque[bytes] = deque(maxlen=distance)

    def __call__(self, packet: bytes) -> bytes:
        """The payload for the newest packet."""
        copies = {}
        if self.stages and len(self._sent) == self.distance:
            copies[self.distance] = self._leading(self._sent[0])
        self._sent.append(packet)
        return to_bytes(Payload(packet, copies), self.frames, self.bits)

    def _leading(self, packet: bytes) -> bytes:
        stages = stages_of(packet, self.frames, self.bits)
        codes = unpack(packet, self.frames, stages, self.bits)
        return pack(codes[: self.stages], self.bits)
