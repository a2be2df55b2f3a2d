"""Between sound devices and the thread that runs the model: rings, and where the sound is.

The callbacks below are all that runs on audio threads. They copy samples, set counters, and that is
it: they never wait, log, open anything or run the model. (They do need CPython's interpreter lock,
as all Python does; the model's thread releases it while onnxruntime computes.)
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from audiodec.arrays import Samples
from audiodec.sound.devices import AudioDevice
from audiodec.sound.drift import Resampler
from audiodec.sound.ring import RING_S, Ring

Clock = Callable[[], float]  # seconds


class Capture:
    """What a microphone hears, for one reading thread.

    Args:
        tap: is given the same samples, e.g. to write them to a file.

    Attributes:
        lost: samples the reader was too slow for.
    """

    def __init__(self, device: AudioDevice, clock: Clock, tap: Ring | None = None) -> None:
        self.device, self.lost = device, 0
        self._ring, self._tap = Ring(round(RING_S * device.rate)), tap
        self._clock = clock
        self._mark = (clock(), 0)  # when the newest block came, samples kept until then
        # A binary semaphore: free when there is something new. The callback only ever frees it,
        # which never waits; an event or condition would take a lock that the reader may hold.
        self._news = threading.Lock()
        self._news.acquire()

    def start(self) -> None:
        self.device.start(self._take)

    def _take(self, block: Samples) -> None:
        kept = self._ring.write(block)
        self.lost += len(block) - kept
        self._mark = (self._clock(), self._mark[1] + kept)
        if self._tap is not None:
            self._tap.write(block)
        if self._news.locked():
            self._news.release()

    def wait(self, timeout: float) -> None:
        """Wait until there is something new, or seconds have passed."""
        self._news.acquire(timeout=timeout)

    def __len__(self) -> int:
        return len(self._ring)

    def read(self, count: int) -> Samples | None:
        """Give the next [count] samples, or None; the last ones are filled up with zeros."""
        ended = self.device.ended  # asked first: the last block comes before the end
        if len(self._ring) < (1 if ended else count):
            return None
        samples = np.zeros(count, np.float32)
        self._ring.read(samples)
        return samples

    def discard(self, count: int) -> int:
        """Drop up to that many of the samples that wait; returns how many there were."""
        return self._ring.read(np.zeros(min(count, len(self._ring)), np.float32))

    def heard(self, now: float) -> float:
        """Count samples heard until now, those of the unfinished block included."""
        time, count = self._mark
        return count + min((now - time) * self.device.rate, self.device.block)


class Playout:
    """What a loudspeaker is to sound, from one writing thread.

    Args:
        tap: is given all that sounds.

    Attributes:
        missing: samples of silence that sounded because nothing was there, since the first write.
        refused: samples that found no room.
    """

    def __init__(self, device: AudioDevice, clock: Clock, tap: Ring | None = None) -> None:
        self.device, self.missing, self.refused = device, 0, 0
        self._ring, self._tap = Ring(round(RING_S * device.rate)), tap
        self._clock, self._resample = clock, Resampler()
        self._written = 0  # samples
        self._mark = (clock(), 0)  # when the newest block began to sound, samples taken until then
        self._silent = True  # nothing of ours is in that block

    def start(self) -> None:
        self.device.start(self._fill)

    def _fill(self, block: Samples) -> None:
        count = self._ring.read(block)
        block[count:] = 0
        if self._written:
            self.missing += len(block) - count
        self._silent = count == 0
        self._mark = (self._clock(), self._mark[1] + count)
        if self._tap is not None:
            self._tap.write(block)

    @property
    def silent(self) -> bool:
        """All that was written has sounded."""
        return self._silent and not len(self._ring)

    def write(self, samples: Samples, ratio: float = 1) -> None:
        """Append [n] samples, made longer by `ratio`, against the drift of clocks; between samples
        at full scale sound may swing higher, and is clipped there."""
        resampled = np.clip(self._resample(samples, ratio), -1, 1)
        written = self._ring.write(resampled)
        self.refused += len(resampled) - written
        self._written += written

    def pending(self, now: float) -> float:
        """Count samples until what is written next sounds."""
        time, taken = self._mark
        sounding = self.device.block - (now - time) * self.device.rate
        return self._written - taken + max(0.0, sounding) + Resampler.delay
