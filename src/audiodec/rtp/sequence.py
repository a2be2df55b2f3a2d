"""What sequence numbers tell: losses, duplicates, jitter (RFC 3550, appendix A)."""

from __future__ import annotations

from audiodec.rtp.packet import unwrap

DUPLICATE_WINDOW_PACKETS = 1024  # below the highest, in which a duplicate is noticed
MAX_DROPOUT_PACKETS = 3000  # packets that may be missing before the stream counts as another one
SEQUENCE_ROUND = 1 << 16  # added to a stream's first number, so that those before stay positive
MAX_REORDER_PACKETS = 10  # packets by which one may be overtaken and not yet count as lost


class Sequence:
    """Follows one stream's sequence numbers.

    Args:
        first: number of the stream's first packet, where both ends have agreed on it: what is lost
            before the first that comes is counted, too.

    Attributes:
        highest: received, extended by its wraps, and raised by `SEQUENCE_ROUND`.
        jitter: smoothed difference of successive delays, seconds.
        received: packets, without duplicates.
        burst: mean length of the runs of lost packets that the last `interval` has met; 0: none.
    """

    def __init__(self, first: int | None = None) -> None:
        self.received, self.jitter, self.burst = 0, 0.0, 0.0
        self._before = 0  # packets expected before the last restart
        self._told = 0  # packets that the sender says it has sent
        self.restart()
        if first is not None:
            self._begin(first + SEQUENCE_ROUND)

    def restart(self) -> None:
        """Begin the stream anew, at any number; counts go on."""
        self._before = self.expected if self.received else 0
        self._begin(0)
        self._delay: float | None = None

    def _begin(self, first: int) -> None:
        """Nothing of the stream has come that begins with number `first`; 0: with any."""
        self._first, self.highest = first, first - 1
        self._seen = 0  # bit n: highest - n was received
        self._asked = first - 1  # up to where `interval` has counted

    def tell(self, packets: int) -> None:
        """Note how many the sender says it has sent since the start."""
        self._told = max(self._told, packets)

    @property
    def expected(self) -> int:
        """Packets sent up to the highest number that has come."""
        return self._before + self.highest - self._first + 1

    @property
    def missing(self) -> int:
        """Packets below the highest number that have not come; a late one is not missing."""
        return self.expected - self.received

    @property
    def lost(self) -> int:
        """Packets that have not come, those after the highest number too, if told of."""
        return max(self.expected, self._told) - self.received

    def plausible(self, sequence: int) -> bool:
        """Tell whether a number belongs to the stream as it was so far (RFC 3550, A.1)."""
        step = unwrap(sequence, self.highest, 16) - self.highest
        return self.highest < 0 or -DUPLICATE_WINDOW_PACKETS < step < MAX_DROPOUT_PACKETS

    def receive(self, sequence: int, delay: float) -> bool:
        """Note a packet that has come. Returns False for a duplicate, or one too old to tell.

        Args:
            sequence: modulo 2**16.
            delay: arrival minus media time, seconds.
        """
        if self.highest < 0:
            self._begin(sequence + SEQUENCE_ROUND)
        number = unwrap(sequence, self.highest, 16)
        behind = self.highest - number
        if behind < 0:
            self._seen = (self._seen << -behind | 1) & ((1 << DUPLICATE_WINDOW_PACKETS) - 1)
            self.highest = number
        elif behind >= DUPLICATE_WINDOW_PACKETS or self._seen >> behind & 1:
            return False
        else:
            self._seen |= 1 << behind
            self._first = min(self._first, number)
        if self._delay is not None:
            self.jitter += (abs(delay - self._delay) - self.jitter) / 16
        self._delay = delay
        self.received += 1
        return True

    def interval(self) -> float:
        """Share of packets lost since this was last asked, 0 to 1.

        The newest are left for the next time: they may have been overtaken.
        """
        settled = self.highest - MAX_REORDER_PACKETS
        fresh = min(settled - self._asked, DUPLICATE_WINDOW_PACKETS - MAX_REORDER_PACKETS)
        self.burst = 0.0
        if fresh <= 0:
            return 0.0
        self._asked = settled
        lost = ~(self._seen >> MAX_REORDER_PACKETS) & ((1 << fresh) - 1)
        runs = (lost & ~(lost >> 1)).bit_count()  # each has one oldest packet
        self.burst = lost.bit_count() / max(runs, 1)
        return lost.bit_count() / fresh
