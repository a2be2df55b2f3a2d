"""Reports between the two ends: RTCP sender reports and goodbye (RFC 3550, sections 6.4, 6.6).

Reduced-size packets (RFC 5506): a report with exactly one block, or a goodbye, and nothing else.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from audiodec.errors import FormatError

_REPORT = struct.Struct("!BBHIQ9I")
_BYE = struct.Struct("!BBHI")
_SENDER_REPORT, _GOODBYE = 200, 203
_32 = 0xFFFFFFFF


@dataclass(frozen=True)
class Report:
    """What one end tells the other about both directions.

    Attributes:
        ssrc: of who reports.
        time: seconds, by the reporter's clock.
        timestamp, packets, octets: of its own stream so far, modulo 2**32.
        heard: SSRC of the stream the rest is about.
        loss: share of packets lost since the last report, 0 to 1, in steps of 1/256.
        lost: packets lost since the start, -2**23 up to below 2**23.
        highest: sequence number received, extended by its wraps.
        jitter: seconds (RFC 3550, A.8); on the wire in samples.
        last: middle 32 bits of the time in the report last received; 0: none yet.
        held: seconds since that report came.
    """

    ssrc: int
    time: float
    timestamp: int
    packets: int
    octets: int
    heard: int
    loss: float
    lost: int
    highest: int
    jitter: float
    last: int
    held: float

    def to_bytes(self, rate: int) -> bytes:
        """Serialise; `rate` is the stream's sample rate, the unit of jitter."""
        fraction = min(255, max(0, int(self.loss * 256)))
        lost = min((1 << 23) - 1, max(-(1 << 23), self.lost)) & 0xFFFFFF
        return _REPORT.pack(
            0x81, _SENDER_REPORT, _REPORT.size // 4 - 1, self.ssrc, _ntp(self.time),
            self.timestamp & _32, self.packets & _32, self.octets & _32, self.heard,
            fraction << 24 | lost, self.highest & _32, min(_32, round(self.jitter * rate)),
            self.last, min(_32, round(self.held * 65536)),
        )  # fmt: skip

    @classmethod
    def parse(cls, data: bytes, rate: int) -> Report:
        """Parse what came from a network. Raises FormatError when it is no such report."""
        if len(data) != _REPORT.size:
            raise FormatError(f"a report of {len(data)} bytes")
        (first, kind, words, ssrc, ntp, timestamp, packets, octets, heard, losses, highest, jitter,
         last, held) = _REPORT.unpack(data)  # fmt: skip
        if (first, kind, words) != (0x81, _SENDER_REPORT, _REPORT.size // 4 - 1):
            raise FormatError("not a sender report with one block")
        lost = (losses & 0xFFFFFF) - (losses >> 23 & 1) * (1 << 24)
        return cls(
            ssrc, ntp / 2**32, timestamp, packets, octets, heard, (losses >> 24) / 256, lost,
            highest, jitter / rate, last, held / 65536,
        )  # fmt: skip

    def round_trip(self, now: float) -> float | None:
        """Seconds to the reporter and back, at its arrival; None before it has heard from us."""
        if not self.last:
            return None
        ticks = (middle(now) - self.last - round(self.held * 65536)) & _32
        # The clocks tick 65536 times a second: rounding may make a very short way negative.
        return ticks / 65536 if ticks < 1 << 31 else 0.0


def middle(time: float) -> int:
    """The middle 32 bits of a time, never 0, which would mean none."""
    return _ntp(time) >> 16 & _32 or 1


def goodbye(ssrc: int) -> bytes:
    """The packet that ends a stream."""
    return _BYE.pack(0x81, _GOODBYE, 1, ssrc)


def is_goodbye(data: bytes, ssrc: int) -> bool:
    """Whether that stream says goodbye."""
    return data == goodbye(ssrc)


def _ntp(time: float) -> int:
    return int(time * 2**32) & 0xFFFFFFFFFFFFFFFF
