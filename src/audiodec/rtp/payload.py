"""What one network packet carries: frames, and redundancy for earlier ones. See docs/rtp.md.

Redundancy is a copy of an earlier packet, or of its leading codebooks alone: a coarser sound, for
few bytes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from audiodec.bitstream.packet import PacketFormat
from audiodec.errors import FormatError

MAX_FRAMES, MAX_REDUNDANT, MAX_DISTANCE = 150, 3, 255
MAX_PAYLOAD = 1200  # bytes with redundancy; leaves room in a datagram for RTP and SRTP


@dataclass(frozen=True)
class Payload:
    """A packet and redundant copies of earlier ones.

    Attributes:
        packet: `frames` frames, as a streaming encoder gives them.
        redundant: distance in packet times (1: the one before) -> its leading codebooks.
    """

    packet: bytes
    redundant: dict[int, bytes]


def to_bytes(payload: Payload, format: PacketFormat) -> bytes:
    """Serialise a payload of good packets of up to 150 frames."""
    codebooks = format.codebooks_of(payload.packet)
    head = bytes([format.frames, len(payload.redundant), codebooks])
    listed = (
        bytes([distance, format.codebooks_of(copy)]) + copy
        for distance, copy in payload.redundant.items()
    )
    return head + payload.packet + b"".join(listed)


def from_bytes(data: bytes, format: PacketFormat) -> Payload:
    """Parse what came from a network.

    Args:
        format: what the stream was agreed to be.

    Raises:
        FormatError: damaged, hostile, or of another format.
    """
    if len(data) < 3:
        raise FormatError(f"a payload of {len(data)} bytes")
    frames, copies, codebooks = data[0], data[1], data[2]
    if frames != format.frames or copies > MAX_REDUNDANT:
        raise FormatError(f"a payload of {frames} frames and {copies} copies")
    at = 3 + format.size(codebooks)
    packet, listed = data[3:at], dict[int, bytes]()
    for _ in range(copies):
        if len(data) < at + 2 or not data[at]:
            raise FormatError("a copy without its header")
        end = at + 2 + format.size(data[at + 1])
        listed[data[at]] = data[at + 2 : end]
        at = end
    if len(data) != at or len(listed) != copies:
        raise FormatError(f"a payload of {len(data)} bytes where {at} were announced")
    for piece in (packet, *listed.values()):
        format.codebooks_of(piece)
    return Payload(packet, listed)


@dataclass(frozen=True)
class Redundancy:
    """Which redundant copies ride along.

    Attributes:
        distances: how many packet times later a copy is sent; above the usual burst of losses.
        codebooks: leading codebooks that are copied.
    """

    distances: tuple[int, ...] = ()
    codebooks: int = 0

    def __post_init__(self) -> None:
        if len(set(self.distances)) > MAX_REDUNDANT or (
            self.distances
            and not (self.codebooks > 0 and 1 <= min(self.distances) <= max(self.distances) <= 255)
        ):
            raise ValueError(f"{self} does not fit a payload")


class Payloader:
    """Makes a payload of each packet, with redundancy for earlier ones.

    Args:
        format: of the packets, of up to 150 frames.

    Attributes:
        redundancy: which copies ride along; none at first. May be changed at any time.
    """

    def __init__(self, format: PacketFormat, redundancy: Redundancy | None = None) -> None:
        if not 1 <= format.frames <= MAX_FRAMES:
            raise ValueError(f"{format.frames} frames do not fit a payload")
        self.format = format
        self.redundancy = redundancy or Redundancy()
        self._sent: deque[bytes | None] = deque(maxlen=MAX_DISTANCE)

    def __call__(self, packet: bytes) -> bytes:
        """Write the payload for the newest packet."""
        copies, size = {}, 3 + len(packet)
        for distance in self.redundancy.distances:
            earlier = self._sent[-distance] if distance <= len(self._sent) else None
            if earlier is not None:
                copy = self._leading(earlier)
                size += 2 + len(copy)
                if size <= MAX_PAYLOAD:
                    copies[distance] = copy
        self._sent.append(packet)
        return to_bytes(Payload(packet, copies), self.format)

    def skip(self) -> None:
        """Note a packet time in which nothing was sent."""
        self._sent.append(None)

    def _leading(self, packet: bytes) -> bytes:
        if self.format.codebooks_of(packet) <= self.redundancy.codebooks:
            return packet
        return self.format.pack(self.format.unpack(packet)[: self.redundancy.codebooks])
