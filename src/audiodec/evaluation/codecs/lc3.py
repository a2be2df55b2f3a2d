"""LC3 (ETSI TS 103 634, Bluetooth LE Audio): the low-delay reference. Google's liblc3, by lc3py."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from audiodec.arrays import Samples
from audiodec.errors import MissingExtraError
from audiodec.evaluation.codecs.base import Family
from audiodec.evaluation.codecs.live import Live

FRAME_US = 10_000


class Lc3(Live):
    """LC3 with frames of 10 ms at a constant bitrate.

    Args:
        kbps: 16 and up, in steps of 0.8.
        sample_rate: Hz, of which it codes the whole band: at low rates, wide costs clean.

    Raises:
        MissingExtraError: lc3py is not installed.
    """

    streaming = True

    def __init__(self, kbps: float, sample_rate: int) -> None:
        try:
            import lc3
        except ImportError:
            raise MissingExtraError("LC3", "bench") from None
        self._lc3, self.kbps, self.sample_rate = lc3, kbps, sample_rate
        encoder = lc3.Encoder(FRAME_US, sample_rate)
        self.frame, self.delay = encoder.get_frame_samples(), encoder.get_delay_samples()
        self.bytes = encoder.get_frame_bytes(round(1000 * kbps))
        self.latency_ms = 1000 * (self.frame + self.delay) / sample_rate
        self.family = f"LC3 {sample_rate // 1000} kHz"
        self.name = f"{self.family} {kbps:g}"

    @contextmanager
    def encoder(self) -> Iterator[Callable[[Samples], bytes]]:
        encoder = self._lc3.Encoder(FRAME_US, self.sample_rate)
        yield lambda frame: encoder.encode(frame.tobytes(), self.bytes)

    @contextmanager
    def decoder(self) -> Iterator[Callable[[bytes], Samples]]:
        decoder = self._lc3.Decoder(FRAME_US, self.sample_rate)
        yield lambda packet: np.asarray(decoder.decode(packet), np.float32)


def missing() -> str | None:
    """Say how to get the codec; None where it is there."""
    found = importlib.util.find_spec("lc3") is not None
    return None if found else str(MissingExtraError("LC3", "bench"))


WIDEBAND = Family(
    functools.partial(Lc3, sample_rate=16000), (16, 24, 32), continuous=True, missing=missing
)
FULLBAND = Family(
    functools.partial(Lc3, sample_rate=48000), (24, 32, 48, 64), continuous=True, missing=missing
)
