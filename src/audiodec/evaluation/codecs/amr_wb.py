"""AMR-WB (3GPP TS 26.171, ITU-T G.722.2): VisualOn's encoder and OpenCORE's decoder."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from audiodec.arrays import Samples
from audiodec.errors import AudioDecError
from audiodec.evaluation.codecs.base import Family
from audiodec.evaluation.codecs.live import Live
from audiodec.evaluation.codecs.native import (
    load_library,
    missing_library,
    pointer,
    to_float,
    to_int16,
)

RATES = (6.6, 8.85, 12.65, 14.25, 15.85, 18.25, 19.85, 23.05, 23.85)  # kbps of modes 0 to 8
LIBRARIES = {"vo-amrwbenc": "libvo-amrwbenc0", "opencore-amrwb": "libopencore-amrwb0"}
FRAME_SAMPLES = 320  # samples: 20 ms
LOOKAHEAD_SAMPLES = 80  # samples of the encoder: 5 ms
DELAY_SAMPLES = 95  # samples from end to end, measured
MAX_BYTES = 61  # of a frame of the highest mode, with its header


class AmrWb(Live):
    """AMR-WB at one mode, no discontinuous transmission.

    A packet is a frame of the storage format (RFC 4867): one byte of header, then the bits.

    Args:
        kbps: one of RATES.

    Raises:
        MissingCodecError: a library is not installed.
    """

    family = "AMR-WB"
    sample_rate = 16000
    latency_ms = 1000 * (FRAME_SAMPLES + LOOKAHEAD_SAMPLES) / sample_rate
    frame, delay = FRAME_SAMPLES, DELAY_SAMPLES
    streaming = True

    def __init__(self, kbps: float) -> None:
        self.kbps, self.mode = kbps, RATES.index(kbps)
        self.name = f"{self.family} {kbps:g}"
        (self._encoder, self._decoder) = (
            load_library(self.family, library, package) for library, package in LIBRARIES.items()
        )
        self._encoder.E_IF_init.restype = self._decoder.D_IF_init.restype = ctypes.c_void_p

    @contextmanager
    def encoder(self) -> Iterator[Callable[[Samples], bytes]]:
        state = ctypes.c_void_p(self._encoder.E_IF_init())
        buffer = ctypes.create_string_buffer(MAX_BYTES)

        def encode(frame: Samples) -> bytes:
            given = to_int16(frame)
            used = self._encoder.E_IF_encode(state, self.mode, pointer(given), buffer, 0)
            if used <= 0:
                raise AudioDecError(f"AMR-WB failed to encode: {used}")
            return buffer.raw[:used]

        try:
            yield encode
        finally:
            self._encoder.E_IF_exit(state)

    @contextmanager
    def decoder(self) -> Iterator[Callable[[bytes], Samples]]:
        state = ctypes.c_void_p(self._decoder.D_IF_init())

        def decode(packet: bytes) -> Samples:
            out = np.zeros(FRAME_SAMPLES, np.int16)
            self._decoder.D_IF_decode(state, packet, pointer(out), 0)
            return to_float(out)

        try:
            yield decode
        finally:
            self._decoder.D_IF_exit(state)


def missing() -> str | None:
    """Say how to get the codec; None where it is there."""
    return missing_library("AMR-WB", LIBRARIES)


FAMILY = Family(AmrWb, RATES, missing=missing)
