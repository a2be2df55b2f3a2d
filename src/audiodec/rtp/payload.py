"""What one network packet carries: frames, and redundancy for earlier ones. See docs/rtp.md.

Redundancy is a coarse copy of an earlier packet: its leading codebooks alone. There are two forms:
the compact one has a header of one byte, and one more for each copy; the older one has three, and
two more, and is what ends understand that greet with `ADc2` alone.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import IntEnum

from audiodec.bitstream.packet import PacketFormat
from audiodec.errors import FormatError
from audiodec.rtp.packet import COMPACT, SPEECH

MAX_FRAMES, MAX_REDUNDANT = 150, 3
MAX_PAYLOAD = 1200  # bytes with redundancy; leaves room in a datagram for RTP and SRTP
NIBBLE = 16  # values of half a byte: distances and codebooks of a copy in the compact form


class Form(IntEnum):
    """How a payload is written; the value is its RTP payload type."""

    OLDER = SPEECH
    COMPACT = COMPACT


@dataclass(frozen=True)
class Payload:
    """A packet and redundant copies of earlier ones.

    Attributes:
        packet: `frames` frames, as a streaming encoder gives them.
        redundant: distance in packet times (1: the one before) -> its leading codebooks.
    """

    packet: bytes
    redundant: dict[int, bytes]


def to_bytes(payload: Payload, format: PacketFormat, form: Form = Form.COMPACT) -> bytes:
    """Serialise a payload of good packets of up to 150 frames, whose copies fit the form."""
    count = format.codebooks_of(payload.packet)
    copies = [(d, format.codebooks_of(copy), copy) for d, copy in payload.redundant.items()]
    if form is Form.COMPACT:
        head = bytes([count])
        listed = [bytes([(d - 1) * NIBBLE + n - 1]) + copy for d, n, copy in copies]
    else:
        head = bytes([format.frames, len(copies), count])
        listed = [bytes([d, n]) + copy for d, n, copy in copies]
    return head + payload.packet + b"".join(listed)


def from_bytes(data: bytes, format: PacketFormat, form: Form = Form.COMPACT) -> Payload:
    """Parse what came from a network.

    Args:
        format: what the stream was agreed to be.

    Raises:
        FormatError: damaged, hostile, or of another format.
    """
    reader = _Reader(data)
    announced: int | None = None
    if form is Form.OLDER:
        frames, announced = reader.take(1)[0], reader.take(1)[0]
        if frames != format.frames or announced > MAX_REDUNDANT:
            raise FormatError(f"a payload of {frames} frames and {announced} copies")
    packet = reader.take(format.size(reader.take(1)[0]))
    copies = dict[int, bytes]()
    while reader.left if announced is None else len(copies) < announced:
        if form is Form.COMPACT:
            distance, count = (half + 1 for half in divmod(reader.take(1)[0], NIBBLE))
        else:
            distance, count = reader.take(2)
        if distance in copies or not distance or len(copies) == MAX_REDUNDANT:
            raise FormatError(
                f"a copy from {distance} packet times ago, after {len(copies)} others"
            )
        copies[distance] = reader.take(format.size(count))
    if reader.left:
        raise FormatError(f"{reader.left} bytes after a payload")
    for piece in (packet, *copies.values()):
        format.codebooks_of(piece)
    return Payload(packet, copies)


class _Reader:
    """Bytes from front to back."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        """Take the next bytes. Raises FormatError when there are fewer."""
        if count > self.left:
            raise FormatError(f"a payload of {len(self._data)} bytes ends too early")
        self._at += count
        return self._data[self._at - count : self._at]


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
            and not (
                1 <= self.codebooks <= NIBBLE
                and 1 <= min(self.distances) <= max(self.distances) <= NIBBLE
            )
        ):
            raise ValueError(f"{self} does not fit a payload")


class Payloader:
    """Makes a payload of each packet, with redundancy for earlier ones.

    Args:
        format: Of the packets, of up to 150 frames.
        redundancy: Which copies ride along; none if not given.
        form: Of the payloads: what the other end understands.

    Attributes:
        form: May be changed at any time.
        redundancy: May be changed at any time.
    """

    def __init__(
        self, format: PacketFormat, redundancy: Redundancy | None = None, form: Form = Form.COMPACT
    ) -> None:
        if not 1 <= format.frames <= MAX_FRAMES:
            raise ValueError(f"{format.frames} frames do not fit a payload")
        self.format, self.form = format, form
        self.redundancy = redundancy or Redundancy()
        self._sent: deque[bytes | None] = deque(maxlen=NIBBLE)

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
        return to_bytes(Payload(packet, copies), self.format, self.form)

    def skip(self) -> None:
        """Note a packet time in which nothing was sent."""
        self._sent.append(None)

    def _leading(self, packet: bytes) -> bytes:
        if self.format.codebooks_of(packet) <= self.redundancy.codebooks:
            return packet
        return self.format.pack(self.format.unpack(packet)[: self.redundancy.codebooks])
