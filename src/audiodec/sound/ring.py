"""Samples from one thread to another without a lock: single producer, single consumer.

Two counters of samples, each set by one side only: the producer copies samples in and then
publishes `_written`; the consumer reads `_written`, copies samples out and then publishes `_read`.
A side that sees an old value of the other's counter sees less to read or less room, never garbage.

Why plain integers suffice in CPython: storing an attribute replaces one pointer, so a reader gets
the old or the new integer, never half of each; and the store cannot be seen before the copy in
front of it, because another thread only runs after the interpreter lock has changed hands, which
is a memory barrier (builds without that lock store attributes with release order and load them
with acquire order, PEP 703). The memory for samples is reserved once. CPython makes an integer and
two views per call; those come from its own free lists, not from the system.
"""

from __future__ import annotations

import numpy as np

from audiodec.arrays import Samples

RING_S = 1.0  # seconds of sound between a device and who uses it


class Ring:
    """Memory for `capacity` samples; one thread may write, one other may read."""

    def __init__(self, capacity: int) -> None:
        self._memory = np.zeros(capacity, np.float32)
        self._written = 0  # samples ever; the producer's
        self._read = 0  # samples ever; the consumer's

    def __len__(self) -> int:
        """Count the samples that wait."""
        return self._written - self._read

    @property
    def capacity(self) -> int:
        """Samples that the ring holds at most."""
        return len(self._memory)

    def write(self, samples: Samples) -> int:
        """Append [n] samples, as the producer; returns how many fitted, the first of them."""
        written = self._written
        count = min(len(samples), self.capacity - (written - self._read))
        start = written % self.capacity
        first = min(count, self.capacity - start)
        self._memory[start : start + first] = samples[:first]
        self._memory[: count - first] = samples[first:count]
        self._written = written + count
        return count

    def read(self, out: Samples) -> int:
        """Fill the start of `out`, [n], as the consumer; returns how many samples there were."""
        read = self._read
        count = min(len(out), self._written - read)
        start = read % self.capacity
        first = min(count, self.capacity - start)
        out[:first] = self._memory[start : start + first]
        out[first:count] = self._memory[: count - first]
        self._read = read + count
        return count
