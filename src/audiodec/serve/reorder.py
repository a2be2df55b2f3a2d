"""Sound out of datagrams that are lost, doubled and overtaken on the way, in order again."""

from __future__ import annotations

import numpy as np

from audiodec.arrays import Samples
from audiodec.rtp.packet import unwrap

MAX_REORDER_DATAGRAMS = 4  # later datagrams after which a missing one counts as lost
MAX_GAP_S = 0.4  # seconds filled with zeros; a longer gap, or a step back, is left out


class Reorder:
    """One channel, placed by timestamps. What is lost is silence. It holds a few datagrams.

    No clock: that something is missing shows when later sound comes.

    Args:
        rate: Hz, of sound and timestamps.
    """

    def __init__(self, rate: int) -> None:
        self._longest = round(MAX_GAP_S * rate)
        self._next: int | None = None  # timestamp of the sample due, unwrapped
        self._held: dict[int, Samples] = {}

    def receive(self, timestamp: int, samples: Samples) -> list[Samples]:
        """Add samples [n], the first of them at `timestamp` (modulo 2**32); returns the blocks
        now in order."""
        if self._next is None:
            self._next = timestamp
        at, blocks = unwrap(timestamp, self._next, 32), []
        if abs(at - self._next) > self._longest:
            blocks = self.flush()
            self._next = at
        held = self._held.get(at)
        if held is None or len(held) < len(samples):
            self._held[at] = samples
        return blocks + self._in_order(MAX_REORDER_DATAGRAMS)

    def flush(self) -> list[Samples]:
        """Give all that is held: nothing that is missing will come."""
        return self._in_order(0)

    def _in_order(self, patience: int) -> list[Samples]:
        blocks: list[Samples] = []
        if self._next is None:
            return blocks
        for at in sorted(self._held):
            missing = at - self._next
            if missing > 0:
                if len(self._held) <= patience:
                    break
                blocks.append(np.zeros(missing, np.float32))
            fresh = self._held.pop(at)[max(0, -missing) :]  # without what was there already
            blocks.append(fresh)
            self._next = max(self._next, at) + len(fresh)
        return [block for block in blocks if len(block)]
