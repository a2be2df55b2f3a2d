"""Codec 2, a parametric vocoder for radio at 8 kHz: what speech costs at the very least."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from audiodec.arrays import Samples
from audiodec.evaluation.codecs.base import Family
from audiodec.evaluation.codecs.live import Live
from audiodec.evaluation.codecs.native import (
    load_library,
    missing_library,
    pointer,
    to_float,
    to_int16,
)

# By kbps: mode, from codec2.h; delay in samples, where ESTOI of nine clips is highest.
MODES = {
    0.7: (8, 256), 1.2: (5, 156), 1.3: (4, 156), 1.4: (3, 156), 1.6: (2, 156), 2.4: (1, 156),
    3.2: (0, 156),
}  # fmt: skip
LIBRARIES = {"codec2": "libcodec2-1.0"}


class Codec2(Live):
    """Codec 2 at one mode. Packets are whole bytes: modes of odd bits cost a few more.

    It models pitch and spectrum, not the waveform: no phase survives, so SNR means nothing.

    Args:
        kbps: one of MODES.

    Raises:
        MissingCodecError: libcodec2 is not installed.
    """

    family = "Codec 2"
    sample_rate = 8000
    streaming = True

    def __init__(self, kbps: float) -> None:
        self.kbps, self.name = kbps, f"{self.family} {kbps:g}"
        self._codec2 = load_library(self.family, "codec2", LIBRARIES["codec2"])
        self._codec2.codec2_create.restype = ctypes.c_void_p
        self._mode, self.delay = MODES[kbps]
        with self._coder() as state:
            self.frame = self._codec2.codec2_samples_per_frame(state)
            self._bytes = self._codec2.codec2_bytes_per_frame(state)
        self.latency_ms = 1000 * (self.frame + self.delay) / self.sample_rate

    @contextmanager
    def encoder(self) -> Iterator[Callable[[Samples], bytes]]:
        with self._coder() as state:
            buffer = ctypes.create_string_buffer(self._bytes)

            def encode(frame: Samples) -> bytes:
                given = to_int16(frame)
                self._codec2.codec2_encode(state, buffer, pointer(given))
                return buffer.raw

            yield encode

    @contextmanager
    def decoder(self) -> Iterator[Callable[[bytes], Samples]]:
        with self._coder() as state:

            def decode(packet: bytes) -> Samples:
                out = np.zeros(self.frame, np.int16)
                self._codec2.codec2_decode(state, pointer(out), packet)
                return to_float(out)

            yield decode

    @contextmanager
    def _coder(self) -> Iterator[ctypes.c_void_p]:
        state = ctypes.c_void_p(self._codec2.codec2_create(self._mode))
        try:
            yield state
        finally:
            self._codec2.codec2_destroy(state)


def missing() -> str | None:
    """Say how to get the codec; None where it is there."""
    return missing_library("Codec 2", LIBRARIES)


FAMILY = Family(Codec2, tuple(MODES), missing=missing)
