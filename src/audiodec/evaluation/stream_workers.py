"""How many full-duplex streams several processes hold side by side."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from typing import Any

from audiodec.evaluation.streams import Load, measure
from audiodec.runtime.base import Runtime

_own: Any = None  # runtime and barrier of this process


@contextmanager
def side_by_side(runtime: Runtime, workers: int) -> Iterator[Callable[[int, int, int], Load]]:
    """Start processes with a copy of a runtime each.

    Args:
        runtime: that can be pickled.

    Returns:
        what takes streams per process, ticks and frames, lets all processes measure at once, and
        gives what all hold together: the streams of all, the times of the slowest.
    """
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(workers)
    with ProcessPoolExecutor(
        workers, mp_context=spawn, initializer=_begin, initargs=(runtime, barrier)
    ) as pool:

        def together(streams: int, ticks: int, frames: int) -> Load:
            # The barrier lets none take two of them.
            running = [pool.submit(_measure, streams, ticks, frames) for _ in range(workers)]
            return combined([each.result() for each in running])

        yield together


def combined(loads: list[Load]) -> Load:
    """Add up the streams of processes that ran at once, and take the slowest's times."""
    slowest = {
        name: max(getattr(load, name) for load in loads)
        for name in ("median", "p99", "cpu_median", "cpu_p99")
    }
    return replace(loads[0], streams=sum(load.streams for load in loads), **slowest)


def _begin(runtime: Runtime, barrier: Barrier) -> None:
    global _own
    _own = (runtime, barrier)


def _measure(streams: int, ticks: int, frames: int) -> Load:
    runtime, barrier = _own
    barrier.wait()
    return measure(runtime, streams, ticks, frames)
