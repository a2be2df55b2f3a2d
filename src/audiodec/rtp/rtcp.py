"""Reports between the two ends: RTCP sender reports and goodbye (RFC 3550, sections 6.4, 6.6).

A packet is a report with one block, or with none as long as nothing was heard; at the end of the
stream a goodbye follows in the same packet, so that the last count arrives with it. To ends that
understand it, a block is followed by the mean length of the bursts of losses. Nothing else.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from audiodec.errors import FormatError

_HEAD = struct.Struct("!BBHIQ3I")
_BLOCK = struct.Struct("!6I")
_BURST = struct.Struct("!I")  # the profile-specific extension of a report (6.4.3)
_BYE = struct.Struct("!BBHI")
_SENDER_REPORT, _GOODBYE = 200, 203
_HUNG_UP = b"\x07hung up"  # a reason, length first
_32 = 0xFFFFFFFF


@dataclass(frozen=True)
class Report:
    """What one end tells the other about both directions.

    Attributes:
        ssrc: of who reports.
        time: seconds, by the reporter's clock.
        timestamp, packets, octets: of its own stream so far, modulo 2**32.
        heard: SSRC of the stream that the fields up to `held` are about; 0: nothing was heard yet.
        loss: share of packets lost since the last report, 0 to 1, in steps of 1/256.
        lost: packets lost since the start, -2**23 up to below 2**23.
        highest: sequence number received, extended by its wraps.
        jitter: seconds (RFC 3550, A.8); on the wire in samples.
        last: middle 32 bits of the time in the report last received; 0: none yet.
        held: seconds since that report came.
        burst: mean number of packets lost in a row since the last report, in steps of 1/256; 0:
            none was lost; None: not said. Said with a block only.
        ended: its stream ends here; it may still listen.
        hung_up: it neither speaks nor listens any more.
    """

    ssrc: int
    time: float
    timestamp: int
    packets: int
    octets: int
    heard: int = 0
    loss: float = 0.0
    lost: int = 0
    highest: int = 0
    jitter: float = 0.0
    last: int = 0
    held: float = 0.0
    burst: float | None = None
    ended: bool = False
    hung_up: bool = False

    def to_bytes(self, rate: int) -> bytes:
        """Serialise; `rate` is the stream's sample rate, the unit of jitter."""
        block = self._block(rate) if self.heard else b""
        words = (_HEAD.size + len(block)) // 4 - 1
        head = _HEAD.pack(
            0x80 | bool(block), _SENDER_REPORT, words, self.ssrc, _ntp(self.time),
            self.timestamp & _32, self.packets & _32, self.octets & _32,
        )  # fmt: skip
        return head + block + self._goodbye()

    def _block(self, rate: int) -> bytes:
        fraction = min(255, max(0, int(self.loss * 256)))
        lost = min((1 << 23) - 1, max(-(1 << 23), self.lost)) & 0xFFFFFF
        block = _BLOCK.pack(
            self.heard, fraction << 24 | lost, self.highest & _32,
            min(_32, round(self.jitter * rate)), self.last, min(_32, round(self.held * 65536)),
        )  # fmt: skip
        if self.burst is None:
            return block
        return block + _BURST.pack(min(_32, round(self.burst * 256)))

    def _goodbye(self) -> bytes:
        if not (self.ended or self.hung_up):
            return b""
        reason = _HUNG_UP if self.hung_up else b""
        return _BYE.pack(0x81, _GOODBYE, (_BYE.size + len(reason)) // 4 - 1, self.ssrc) + reason

    @classmethod
    def parse(cls, data: bytes, rate: int) -> Report:
        """Parse what came from a network. Raises FormatError when it is no such report."""
        if len(data) < _HEAD.size:
            raise FormatError(f"a report of {len(data)} bytes")
        first, kind, words, ssrc, ntp, timestamp, packets, octets = _HEAD.unpack_from(data)
        end = 4 * (words + 1)
        blocks = first & 0x1F
        plain = _HEAD.size + blocks * _BLOCK.size
        if (
            (first & 0xE0, kind) != (0x80, _SENDER_REPORT)
            or blocks > 1
            or (end not in (plain, plain + blocks * _BURST.size) or len(data) < end)
        ):
            raise FormatError("not a sender report with one block or none")
        burst = _BURST.unpack_from(data, plain)[0] / 256 if end > plain else None
        heard, losses, highest, jitter, last, held = (
            _BLOCK.unpack_from(data, _HEAD.size) if blocks else (0,) * 6
        )
        ended, hung_up = _parse_goodbye(data[end:], ssrc)
        lost = (losses & 0xFFFFFF) - (losses >> 23 & 1) * (1 << 24)
        return cls(
            ssrc, ntp / 2**32, timestamp, packets, octets, heard, (losses >> 24) / 256, lost,
            highest, jitter / rate, last, held / 65536, burst, ended, hung_up,
        )  # fmt: skip

    def round_trip(self, now: float) -> float | None:
        """Measure the seconds to the reporter and back, at its arrival; None before it has heard
        from us."""
        if not self.last:
            return None
        ticks = (middle(now) - self.last - round(self.held * 65536)) & _32
        # The clocks tick 65536 times a second: rounding may make a very short way negative.
        return ticks / 65536 if ticks < 1 << 31 else 0.0


def middle(time: float) -> int:
    """Take the middle 32 bits of a time, never 0, which would mean none."""
    return _ntp(time) >> 16 & _32 or 1


def _parse_goodbye(data: bytes, ssrc: int) -> tuple[bool, bool]:
    """Whether the stream ends, and whether its sender has hung up."""
    if not data:
        return False, False
    for reason in (b"", _HUNG_UP):
        words = (_BYE.size + len(reason)) // 4 - 1
        if data == _BYE.pack(0x81, _GOODBYE, words, ssrc) + reason:
            return True, bool(reason)
    raise FormatError("after a report may come its sender's goodbye, nothing else")


def _ntp(time: float) -> int:
    return int(time * 2**32) & 0xFFFFFFFFFFFFFFFF
