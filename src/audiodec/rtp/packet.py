"""RTP packets (RFC 3550, section 5.1), strictly parsed.

Own code rather than aiortc's class, because that one imports PyAV (FFmpeg) and its media stack:
receiving and simulating calls needs neither. SRTP and WebRTC do come from those libraries.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from audiodec.errors import FormatError

MAX_DATAGRAM = 1400  # bytes; below every usual MTU, so that nothing is ever fragmented
SPEECH, COMFORT_NOISE, COMPACT = 97, 98, 99  # payload types, of the dynamic range
_HEADER = struct.Struct("!BBHII")


@dataclass(frozen=True)
class RtpPacket:
    """One packet as it stands on the wire (RFC 3550, section 5.1).

    Attributes:
        payload_type: 0 to 127.
        sequence: of packets sent, modulo 2**16.
        timestamp: of its first sample, at the model's sample rate, modulo 2**32.
        ssrc: the stream's name, 32 bits.
        marker: the first packet after a silence.
    """

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False

    def to_bytes(self) -> bytes:
        """Serialise; sequence and timestamp wrap around."""
        second = self.marker << 7 | self.payload_type
        head = _HEADER.pack(
            0x80, second, self.sequence & 0xFFFF, self.timestamp & 0xFFFFFFFF, self.ssrc
        )
        return head + self.payload

    @classmethod
    def parse(cls, data: bytes) -> RtpPacket:
        """Parse what came from a network; contributing sources, extension and padding are skipped.

        Raises:
            FormatError: not RTP, or its lengths do not add up.
        """
        if not _HEADER.size <= len(data) <= MAX_DATAGRAM:
            raise FormatError(f"a datagram of {len(data)} bytes is no RTP packet")
        first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
        if first >> 6 != 2:
            raise FormatError("not RTP version 2")
        start, end = _HEADER.size + 4 * (first & 0x0F), len(data)
        if first & 0x10:
            if start + 4 > end:
                raise FormatError("a truncated RTP extension")
            start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
        if first & 0x20:
            if not data[-1]:
                raise FormatError("RTP padding of no bytes")
            end -= data[-1]
        if start > end:
            raise FormatError("an RTP packet shorter than its header says")
        return cls(second & 0x7F, sequence, timestamp, ssrc, data[start:end], bool(second & 0x80))


def is_rtcp(data: bytes) -> bool:
    """Tell whether a datagram is RTCP rather than RTP on the same port (RFC 5761, section 4)."""
    return len(data) > 1 and data[0] >> 6 == 2 and 192 <= data[1] <= 223


def unwrap(value: int, near: int, bits: int) -> int:
    """Find the integer closest to `near` that equals `value` modulo 2**bits."""
    half = 1 << (bits - 1)
    return near + (value - near + half) % (1 << bits) - half
