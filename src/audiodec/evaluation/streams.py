"""How many full-duplex streams one thread holds: all are encoded and decoded in every tick."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from audiodec.bitstream.packet import Arrived
from audiodec.runtime.base import Runtime
from audiodec.serve.batch import DecoderBatch, EncoderBatch

STREAM_COUNTS = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96)
CLOCKS = ("p99", "median", "cpu_p99")  # of a Load, to be held against its deadline
WARM_UP_TICKS = 5  # ticks
NOISE_RMS = 0.1  # root mean square of the noise that is coded; full scale is 1


@dataclass(frozen=True)
class Load:
    """What a tick costs. Wall time is what a listener waits; CPU time leaves out what other
    programs on the machine took meanwhile, though not the caches and memory they share.

    Attributes:
        streams: encoded and decoded in every tick.
        deadline: ms of sound in a tick.
        median, p99: ms of wall time.
        cpu_median, cpu_p99: ms of CPU time of the thread.
    """

    streams: int
    deadline: float
    median: float
    p99: float
    cpu_median: float
    cpu_p99: float


def measure(runtime: Runtime, streams: int, ticks: int, frames: int = 1) -> Load:
    """Time `ticks` ticks of full-duplex streams: encode to packets, decode those.

    Args:
        frames: in every packet, and so in every tick.
    """
    config = runtime.info.codec
    format = config.packet_format(frames)
    encoder, decoder = EncoderBatch(runtime, streams), DecoderBatch(runtime, streams)
    rows, num_codebooks = np.arange(streams), np.full(streams, config.quantizer.codebooks)
    shape = (streams, config.channels, format.samples)
    noise = np.random.default_rng(0).normal(0, NOISE_RMS, shape).astype(np.float32)
    times = []
    for _ in range(WARM_UP_TICKS + ticks):
        wall, cpu = time.perf_counter(), time.thread_time()
        packets = encoder.encode(rows, noise, num_codebooks, format)
        decoder.decode(rows, [[Arrived(packet) for packet in own] for own in packets], format)
        times.append((time.perf_counter() - wall, time.thread_time() - cpu))
    milliseconds = 1000 * np.array(times[WARM_UP_TICKS:])
    (median, cpu_median), (p99, cpu_p99) = np.percentile(milliseconds, (50, 99), axis=0)
    return Load(streams, 1000 * format.seconds, *map(float, (median, p99, cpu_median, cpu_p99)))


def held(
    loads: list[Load], clock: str, measured: Callable[[int], Load], workers: int = 1
) -> Load | None:
    """Find the most streams inside their deadline, between the last row of a table that is and the
    next one.

    Args:
        clock: one of `CLOCKS`.
        measured: gives a further row, of so many streams in each of the workers.

    Returns:
        None when not even the first of the table fits.
    """
    best, above = None, None
    for load in loads:
        if getattr(load, clock) > load.deadline:
            above = load
            break
        best = load
    while best and above and above.streams - best.streams > workers:
        load = measured((best.streams + above.streams) // 2 // workers)
        if getattr(load, clock) > load.deadline:
            above = load
        else:
            best = load
    return best
