"""A network in a box: seeded, in simulated time, so that an hour of call takes seconds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from audiodec.sound.simulated import SimulatedClock


def gilbert_losses(count: int, loss: float, burst: float, seed: int) -> list[bool]:
    """Draw which of `count` packets are lost; see `gilbert`."""
    return list(itertools.islice(gilbert(loss, burst, seed), count))


def gilbert(loss: float, burst: float, seed: int) -> Iterator[bool]:
    """Draw whether each packet is lost, for ever (Gilbert, "Capacity of a burst-noise channel",
    1960).

    Args:
        loss: share of packets lost, 0 up to below 1.
        burst: mean length of a run of losses, 1 or more; 1 / (1 - loss): independent losses.

    Raises:
        ValueError: outside those ranges.
    """
    if not 0 <= loss < 1 or burst < 1:
        raise ValueError(f"loss must be 0 up to below 1 and burst 1 or more, not {loss}, {burst}")
    return _gilbert(loss, burst, np.random.default_rng(seed))


def _gilbert(loss: float, burst: float, random: np.random.Generator) -> Iterator[bool]:
    leave = 1 / burst  # probability that a run of losses ends
    enter = min(1.0, leave * loss / (1 - loss))
    bad = bool(random.random() < loss)
    while True:
        yield bad
        bad = bool(random.random() < (1 - leave if bad else enter))


def every(
    clock: SimulatedClock, period: float, action: Callable[[], object], start: float = 0.0
) -> None:
    """Do something again and again, without accumulating rounding errors."""
    turns = itertools.count(1)

    def turn() -> None:
        action()
        clock.at(start + next(turns) * period, turn)

    clock.at(start, turn)


def run(clock: SimulatedClock, until: float) -> None:
    """Let time pass up to `until`, with all that is due."""
    reached: list[bool] = []
    clock.at(until, lambda: reached.append(True))
    while not reached:
        clock.step()


class Link:
    """One direction of a network.

    Args:
        deliver: gets each datagram and its time of arrival.
        delay: seconds.
        jitter: seconds; the delay of each datagram grows by the size of a normal variable of that
            standard deviation, so that those close to each other overtake.
        lost: whether each datagram in turn is lost, e.g. `gilbert`; when it ends, nothing is.
        duplicated, reordered: shares of datagrams that come twice, and that pass without delay.
        rate: kbps at which datagrams leave, one after the other; None: any.
        queue: seconds of waiting beyond which a datagram is dropped.
    """

    def __init__(
        self, clock: SimulatedClock, deliver: Callable[[bytes, float], object], delay: float = 0.0,
        jitter: float = 0.0, lost: Iterable[bool] = (), duplicated: float = 0.0,
        reordered: float = 0.0, rate: float | None = None, queue: float = 0.5, seed: int = 0,
    ) -> None:  # fmt: skip
        self._clock, self._deliver, self._lost = clock, deliver, iter(lost)
        self._delay, self._jitter = delay, jitter
        self._duplicated, self._reordered = duplicated, reordered
        self._rate, self._queue, self._free = rate, queue, 0.0
        self._random = np.random.default_rng(seed)

    def send(self, datagram: bytes) -> None:
        """Send one datagram now."""
        if next(self._lost, False):
            return
        now = self._clock.now
        left = now
        if self._rate is not None:
            if self._free - now > self._queue:
                return
            left = max(now, self._free) + 8 * len(datagram) / (1000 * self._rate)
            self._free = left
        for _ in range(1 + (self._random.random() < self._duplicated)):
            self._travel(datagram, left)

    def _travel(self, datagram: bytes, left: float) -> None:
        late = abs(self._random.standard_normal()) * self._jitter
        passes = self._random.random() < self._reordered
        arrival = left if passes else left + self._delay + late

        def arrive() -> None:
            self._deliver(datagram, arrival)

        self._clock.at(arrival, arrive)
