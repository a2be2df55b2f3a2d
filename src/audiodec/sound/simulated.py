"""Sound devices in simulated time: every delay exact, every run the same, an hour in seconds."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

import numpy as np

from audiodec.arrays import Samples
from audiodec.sound.devices import Callback
from audiodec.sound.loop import LiveLoop


class SimulatedClock:
    """Time that passes from event to event; events of one instant run in the order they came."""

    def __init__(self) -> None:
        self.now = 0.0  # seconds
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def __call__(self) -> float:
        return self.now

    def at(self, time: float, event: Callable[[], None]) -> None:
        """Run an event at that time."""
        heapq.heappush(self._events, (time, next(self._order), event))

    def step(self) -> bool:
        """Run the next event; False when there is none."""
        if not self._events:
            return False
        self.now, _, event = heapq.heappop(self._events)
        event()
        return True


class _Simulated:
    """Blocks by a clock that is `ppm` fast.

    Args:
        start: seconds; when the first sample of the first block is heard or sounds.
    """

    def __init__(
        self, clock: SimulatedClock, rate: int, block: int, ppm: float = 0, start: float = 0
    ) -> None:
        self.name, self.rate, self.block = "simulated", rate, block
        self.latency, self.ended, self.faults = 0.0, False, 0
        self.begin = start
        self.true_rate = rate * (1 + ppm / 1e6)  # Hz
        self._clock, self._running = clock, False

    def _run(self, tick: Callable[[], bool], blocks: int) -> None:
        self._running = True

        def event() -> None:
            nonlocal blocks
            if self._running and tick():
                blocks += 1
                self._clock.at(self.begin + blocks * self.block / self.true_rate, event)
            else:
                self.ended = True

        self._clock.at(self.begin + blocks * self.block / self.true_rate, event)

    def stop(self) -> None:
        self._running = False


class SimulatedMicrophone(_Simulated):
    """Hears `sound`, [samples], then ends; each block comes with the last of its samples."""

    def __init__(
        self,
        clock: SimulatedClock,
        rate: int,
        block: int,
        sound: Samples,
        ppm: float = 0,
        start: float = 0,
    ) -> None:
        super().__init__(clock, rate, block, ppm, start)
        self._sound = sound

    def start(self, callback: Callback) -> None:
        blocks = iter(
            np.pad(self._sound, (0, -len(self._sound) % self.block)).reshape(-1, self.block)
        )

        def tick() -> bool:
            block = next(blocks, None)
            if block is not None:
                callback(block.copy())
            return block is not None

        self._run(tick, blocks=1)


class SimulatedLoudspeaker(_Simulated):
    """Asks for each block in the instant it begins to sound, and keeps what sounded."""

    def start(self, callback: Callback) -> None:
        self._blocks: list[Samples] = []

        def tick() -> bool:
            block = np.zeros(self.block, np.float32)
            callback(block)
            self._blocks.append(block)
            return True

        self._run(tick, blocks=0)

    def sounded(self) -> Samples:
        """Give all that sounded, [samples]; sample n at `begin + n / true_rate`."""
        return np.concatenate(self._blocks)


def simulate(clock: SimulatedClock, loop: LiveLoop, processing: float = 0) -> None:
    """Run a loop between simulated devices until its microphone ends and all has sounded.

    Args:
        processing: seconds that coding and decoding one packet takes in simulated time.
    """
    busy = False

    def finish() -> None:
        nonlocal busy
        loop.work()
        busy = False

    with loop:
        while not loop.finished and clock.step():
            if loop.ready and not busy:
                busy = True
                clock.at(clock.now + processing, finish)
