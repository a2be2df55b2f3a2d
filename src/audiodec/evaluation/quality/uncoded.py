"""No codec at all: what a codec's scores are held against where it hears noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audiodec.arrays import Samples
from audiodec.evaluation.codecs import RATE

UNCODED = "uncoded"


@dataclass(frozen=True)
class UncodedSpec:
    """Sound as it came."""

    def create(self) -> Uncoded:
        return Uncoded()


class Uncoded:
    """32-bit floats in packets of 10 ms."""

    name = family = UNCODED
    sample_rate, kbps, latency_ms, streaming = RATE, 32 * RATE / 1000, 10.0, True

    def encode(self, samples: Samples) -> list[bytes]:
        size = RATE // 100
        return [samples[i : i + size].tobytes() for i in range(0, len(samples), size)]

    def decode(self, packets: list[bytes]) -> Samples:
        return np.frombuffer(b"".join(packets), np.float32)
