"""AMR-WB (3GPP TS 26.171, ITU-T G.722.2): VisualOn's encoder and OpenCORE's decoder."""

from __future__ import annotations

import ctypes

import numpy as np

from audiodec.errors import AudioDecError
from audiodec.evaluation.codecs.base import Family
from audiodec.evaluation.codecs.native import (
    frames_of,
    load_library,
    missing_library,
    pointer,
    to_float,
    to_int16,
)
from audiodec.runtime.base import Samples

RATES = (6.6, 8.85, 12.65, 14.25, 15.85, 18.25, 19.85, 23.05, 23.85)  # kbps of modes 0 to 8
LIBRARIES = {"vo-amrwbenc": "libvo-amrwbenc0", "opencore-amrwb": "libopencore-amrwb0"}
FRAME = 320  # samples: 20 ms
LOOKAHEAD = 80  # samples of the encoder: 5 ms
DELAY = 95  # samples from end to end, measured
MAX_BYTES = 61  # of a frame of the highest mode, with its header


class AmrWb:
    """AMR-WB at one mode, no discontinuous transmission.

    A packet is a frame of the storage format (RFC 4867): one byte of header, then the bits.

    Args:
        kbps: one of RATES.

    Raises:
        MissingCodecError: a library is not installed.
    """

    family = "AMR-WB"
    sample_rate = 16000
    latency_ms = 1000 * (FRAME + LOOKAHEAD) / sample_rate
    streaming = True

    def __init__(self, kbps: float) -> None:
        self.kbps, self.mode = kbps, RATES.index(kbps)
        self.name = f"{self.family} {kbps:g}"
        (self._encoder, self._decoder) = (
            load_library(self.family, library, package) for library, package in LIBRARIES.items()
        )
        self._encoder.E_IF_init.restype = self._decoder.D_IF_init.restype = ctypes.c_void_p

    def encode(self, samples: Samples) -> list[bytes]:
        state = ctypes.c_void_p(self._encoder.E_IF_init())
        buffer, packets = ctypes.create_string_buffer(MAX_BYTES), []
        try:
            for frame in frames_of(to_int16(samples), FRAME, DELAY):
                used = self._encoder.E_IF_encode(state, self.mode, pointer(frame), buffer, 0)
                if used <= 0:
                    raise AudioDecError(f"AMR-WB failed to encode: {used}")
                packets.append(buffer.raw[:used])
        finally:
            self._encoder.E_IF_exit(state)
        return packets

    def decode(self, packets: list[bytes]) -> Samples:
        state = ctypes.c_void_p(self._decoder.D_IF_init())
        out = np.zeros((len(packets), FRAME), np.int16)
        try:
            for packet, frame in zip(packets, out, strict=True):
                self._decoder.D_IF_decode(state, packet, pointer(frame), 0)
        finally:
            self._decoder.D_IF_exit(state)
        return to_float(out.ravel())[DELAY:]


def missing() -> str | None:
    """None, or how to get it."""
    return missing_library("AMR-WB", LIBRARIES)


FAMILY = Family(AmrWb, RATES, missing=missing)
