"""Figures of a running stream, in bounded memory however long it runs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from audiodec.arrays import Samples

FLOOR_DBFS = -90.0  # dBFS


class Histogram:
    """Counts of milliseconds in steps of 0.01, up to 1 s."""

    STEP = 0.01  # ms

    def __init__(self) -> None:
        self._counts = np.zeros(100_000, np.int64)

    def add(self, milliseconds: float) -> None:
        place = math.floor(milliseconds / self.STEP)
        self._counts[min(max(place, 0), len(self._counts) - 1)] += 1

    def percentile(self, percent: float) -> float:
        """Give a percentile in ms; 0 before anything was added."""
        sums = np.cumsum(self._counts)
        place = np.searchsorted(sums, max(1, math.ceil(sums[-1] * percent / 100)))
        return 0.0 if not sums[-1] else float((place + 0.5) * self.STEP)


class Level:
    """Peak level that falls by 20 dB a second, as on a mixing desk."""

    FALL = 20.0  # dB per second

    def __init__(self) -> None:
        self.dbfs = FLOOR_DBFS

    def add(self, samples: Samples, rate: int) -> None:
        """Measure samples [n] in [-1, 1] at `rate` Hz."""
        peak = 20 * math.log10(max(1e-9, float(np.abs(samples).max(initial=0))))
        self.dbfs = max(peak, self.dbfs - self.FALL * len(samples) / rate, FLOOR_DBFS)


@dataclass(frozen=True)
class Spread:
    """Milliseconds: median, 95th and 99th percentile."""

    median: float
    p95: float
    p99: float

    @classmethod
    def of(cls, histogram: Histogram) -> Spread:
        return cls(*(round(histogram.percentile(p), 3) for p in (50, 95, 99)))


@dataclass(frozen=True)
class Snapshot:
    """A stream up to now.

    Attributes:
        seconds: of audio coded.
        input_dbfs, output_dbfs: peak levels of the last moments.
        kbps: of packets, counted from bytes.
        encode_ms, decode_ms: processing time per packet.
        buffer_ms: sound that waits for the loudspeaker.
        delay_ms: from microphone to loudspeaker, without what devices add themselves.
        target_ms: the delay that is being kept.
        device_ms: what the two devices say they add.
        drift_ppm: by which the microphone's clock is faster than the loudspeaker's.
        lost_ms: heard but not coded, because the model was too slow.
        missing_ms: silence in place of sound that came too late.
        skipped_ms: left out to catch up.
        faults: blocks the devices' drivers say they lost.
    """

    seconds: float
    input_dbfs: float
    output_dbfs: float
    kbps: float
    encode_ms: Spread
    decode_ms: Spread
    buffer_ms: float
    delay_ms: Spread
    target_ms: float
    device_ms: float
    drift_ppm: float
    lost_ms: float
    missing_ms: float
    skipped_ms: float
    faults: int
