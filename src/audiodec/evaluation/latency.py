"""Processing time per window of a streaming codec, encoder and decoder apart."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from audiodec.codec import Codec

T = TypeVar("T")
U = TypeVar("U")

WINDOWS_FRAMES = (1, 2, 4, 8, 16)  # frames
WARM_UP_WINDOWS = 20  # windows not counted
COLD = """
import time; begin = time.perf_counter()
import numpy, audiodec
codec = audiodec.load({folder!r})
loaded = time.perf_counter()
shape = (codec.channels, codec.hop) if codec.channels > 1 else codec.hop
codec.decode(codec.encode(numpy.zeros(shape, numpy.float32)))
print(loaded - begin, time.perf_counter() - loaded)
"""


@dataclass(frozen=True)
class Timing:
    """Milliseconds to process one window: median, 95th and 99th percentile."""

    median: float
    p95: float
    p99: float


@dataclass(frozen=True)
class Window:
    """One row of the table; times in ms.

    Attributes:
        length: audio in the window.
        algorithmic: wait that the codec itself imposes: one frame, no look-ahead.
        buffering: further wait for the window to fill.
    """

    length: float
    algorithmic: float
    buffering: float
    encode: Timing
    decode: Timing


def measure(codecs: Sequence[Codec], windows: int = 300) -> list[list[Window]]:
    """Time fresh streams of noise, `windows` windows of each size.

    Codecs take turns at every window size, so that they meet the same state of the machine.

    Returns:
        a list of rows for each codec.
    """
    tables: list[list[Window]] = [[] for _ in codecs]
    for frames in WINDOWS_FRAMES:
        for codec, rows in zip(codecs, tables, strict=True):
            rows.append(_measure_window(codec, frames, windows))
    return tables


def _measure_window(codec: Codec, frames: int, windows: int) -> Window:
    random = np.random.default_rng(0)
    frame = 1000 / codec.config.frame_rate
    encoder, decoder = codec.encoder(frames_per_packet=frames), codec.decoder(frames)
    shape = (codec.channels, frames * codec.hop) if codec.channels > 1 else (frames * codec.hop,)
    noise = random.normal(0, 0.1, (WARM_UP_WINDOWS + windows, *shape)).astype(np.float32)
    encode, written = _time(encoder.write, list(noise))
    decode, _ = _time(decoder.decode, [packet for packets in written for packet in packets])
    return Window(frames * frame, frame, (frames - 1) * frame, encode, decode)


def _time(process: Callable[[T], U], windows: list[T]) -> tuple[Timing, list[U]]:
    """Time encoder and decoder apart: in a call they rarely share a core's cache."""
    times, results = [], []
    for window in windows:
        begin = time.perf_counter()
        results.append(process(window))
        times.append(1000 * (time.perf_counter() - begin))
    median, p95, p99 = np.percentile(times[WARM_UP_WINDOWS:], (50, 95, 99))
    return Timing(float(median), float(p95), float(p99)), results


def cold_start(folder: str) -> tuple[float, float]:
    """Measure the seconds a fresh Python needs to import and load, and then for its first frame."""
    code = COLD.format(folder=folder)
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    load, first = (float(v) for v in out.stdout.split())
    return load, first
