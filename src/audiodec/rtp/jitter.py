"""An adaptive jitter buffer driven by the playback clock: pulled once per packet time, it answers
with a packet or with what to do instead, and never waits.

A packet's delay is its arrival time minus its media time (timestamp / sample rate). The clocks of
both ends are unrelated, so only differences of delays mean anything. A packet should be played at
a delay that nearly all packets meet: a high quantile of the last seconds' delays. Playing a
packet time twice adds one to the delay, skipping one takes one away; both are put where they are
heard least. Because this compares clocks all the time, it also takes up their drift.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass
from enum import Enum

WINDOW_ARRIVALS = 500  # arrivals whose delays are remembered: 10 s of 20 ms
QUANTILE = 0.99  # of packets that should be in time
COPY_QUANTILE = 0.9  # of copies that should be: they replace few packets, and delay all
START_S = 0.06  # seconds of buffering until delays are known
KNOWN_AFTER_ARRIVALS = 100  # arrivals after which they are
MAX_JITTER_S = 0.4  # seconds at most that the jitter, and that copies, may add
CAPACITY_PACKETS = 512  # packet times held, and believed, to both sides of playback
REGIME_PACKETS = 10  # late packets in a row after which older delays say nothing any more
LONG_WAIT_PULLS = 50  # pulls after which a change no longer waits for a quiet moment


class Delays:
    """Minimum and quantile of the newest delays."""

    def __init__(self) -> None:
        self._newest: deque[float] = deque()
        self._sorted: list[float] = []

    def __len__(self) -> int:
        return len(self._newest)

    def add(self, delay: float) -> None:
        if len(self._newest) == WINDOW_ARRIVALS:
            del self._sorted[bisect_left(self._sorted, self._newest.popleft())]
        self._newest.append(delay)
        insort(self._sorted, delay)

    def keep(self, newest: int) -> None:
        """Forget all but the newest."""
        self._newest = deque(list(self._newest)[-newest:])
        self._sorted = sorted(self._newest)

    @property
    def lowest(self) -> float:
        """The least of them. Raises IndexError before the first delay."""
        return self._sorted[0]

    def quantile(self, share: float) -> float:
        """Find the delay that this share of packets meets. Raises IndexError before the first."""
        return self._sorted[int(share * (len(self._sorted) - 1))]


@dataclass(frozen=True)
class Entry:
    """What is known about one packet time.

    Attributes:
        data: a packet, or one byte that describes comfort noise.
        noise: which of the two.
        rank: bytes of a copy, more is better; above all copies for an original.
    """

    data: bytes
    noise: bool
    rank: int


class Action(Enum):
    """What a pull is answered with."""

    WAIT = "nothing has come yet"
    PLAY = "play the entry"
    MISS = "nothing is there: conceal, or go on with comfort noise"
    STRETCH = "fill one packet time; the entry due comes next time"
    MERGE = "play two entries in the time of one"


class JitterBuffer:
    """Entries by packet time.

    Args:
        period: seconds of one packet time.

    Attributes:
        reach: packet times by which the longest copy in use comes later.
        next: the packet time played next.
        depth: seconds for which what was pulled last would have waited, had it come as fast as
            the fastest packet of late.
    """

    def __init__(self, period: float) -> None:
        self.period, self.reach, self.next = period, 0, 0
        self.depth = 0.0
        self._entries: dict[int, Entry] = {}
        self._delays = Delays()
        self._first: float | None = None  # arrival of the first entry, until playback starts
        self._started = False
        self._late, self._patience = 0, 0

    def arrive(self, index: int, entry: Entry, now: float) -> bool:
        """Note that something sent at packet time `index` has come. Returns False when it is too
        late.

        The caller makes sure that |index - next| < CAPACITY_PACKETS once playback has started.
        """
        self._delays.add(now - index * self.period)
        if self._first is None:
            self._first, self.next = now, index
        if not self._started:
            self.next = min(self.next, index)
        in_time = self.offer(index, entry)
        self._late = 0 if in_time else self._late + 1
        if self._late >= REGIME_PACKETS:
            self._delays.keep(REGIME_PACKETS)
        return in_time

    def offer(self, index: int, entry: Entry) -> bool:
        """Keep an entry if it is in time and better than what is there."""
        if not self.next <= index < self.next + CAPACITY_PACKETS:
            return False
        held = self._entries.get(index)
        if held is None or held.rank < entry.rank:
            self._entries[index] = entry
        return True

    @property
    def target(self) -> float:
        """The delay at which packets should be played, seconds."""
        delays = self._delays
        jitter, of_copies = (
            min(delays.quantile(share) - delays.lowest, MAX_JITTER_S)
            for share in (QUANTILE, COPY_QUANTILE)
        )
        if len(delays) < KNOWN_AFTER_ARRIVALS:
            jitter = max(jitter, START_S)
        reach = min(self.reach * self.period, MAX_JITTER_S)
        return delays.lowest + max(jitter, reach + of_copies)

    def __len__(self) -> int:
        return len(self._entries)

    def pull(self, now: float, quiet: bool) -> tuple[Action, list[Entry]]:
        """Decide what to play in this packet time.

        Args:
            quiet: whether what was played last was so quiet that a change is hardly heard.

        Returns:
            the action, and its entries: one for PLAY, two for MERGE, else none.
        """
        if not self._started:
            if self._first is None or now < self._first + START_S:
                return Action.WAIT, []
            self._started = True
        decision = self._decide(now, quiet)
        self.depth = now - (self.next - 1) * self.period - self._delays.lowest
        return decision

    def _decide(self, now: float, quiet: bool) -> tuple[Action, list[Entry]]:
        surplus = now - self.next * self.period - self.target
        if abs(surplus) > CAPACITY_PACKETS / 2 * self.period:
            # So far off that playback has broken off anyway: go where it should be.
            self._skip_to(int((now - self.target) / self.period))
            surplus = 0.0
        present = self.next in self._entries
        if -0.1 * self.period <= surplus <= 1.6 * self.period:
            self._patience = 0
            return self._play(present)
        self._patience += 1
        if present and not quiet and self._patience < LONG_WAIT_PULLS:
            return self._play(present)
        if surplus < 0:
            self._patience = 0
            return Action.STRETCH, []
        if not present:
            self._skip_to(self.next + 1)  # the cheapest packet time to leave out
            return self._play(self.next in self._entries)
        if self.next + 1 not in self._entries:
            return self._play(present)
        self._patience = 0
        pair = [self._entries.pop(self.next), self._entries.pop(self.next + 1)]
        self.next += 2
        return Action.MERGE, pair

    def ahead(self, count: int) -> list[Entry | None]:
        """Look at what is there of the next packet times."""
        return [self._entries.get(index) for index in range(self.next, self.next + count)]

    def skip(self, count: int) -> None:
        """Let so many packet times pass without a pull."""
        if self._started:
            self._skip_to(self.next + count)

    def _play(self, present: bool) -> tuple[Action, list[Entry]]:
        entry = [self._entries.pop(self.next)] if present else []
        self.next += 1
        return (Action.PLAY if present else Action.MISS), entry

    def _skip_to(self, index: int) -> None:
        self.next = index
        self._entries = {
            i: e for i, e in self._entries.items() if index <= i < index + CAPACITY_PACKETS
        }
