"""Speex wideband (RFC 5574), a baseline from before Opus: libspeex through ctypes."""

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

RATES = (3.95, 5.75, 7.75, 9.8, 12.8, 16.8, 20.6, 23.8)  # kbps of qualities 0 to 7
LIBRARIES = {"speex": "libspeex1"}
FRAME_SAMPLES = 320  # samples: 20 ms
MAX_BYTES = 200  # of a frame
SET_QUALITY, SET_COMPLEXITY, GET_LOOKAHEAD = 4, 16, 39  # requests, from speex.h


class _Bits(ctypes.Structure):
    """SpeexBits of speex_bits.h."""

    _fields_ = (
        ("chars", ctypes.c_void_p), ("nbBits", ctypes.c_int), ("charPtr", ctypes.c_int),
        ("bitPtr", ctypes.c_int), ("owner", ctypes.c_int), ("overflow", ctypes.c_int),
        ("buf_size", ctypes.c_int), ("reserved1", ctypes.c_int), ("reserved2", ctypes.c_void_p),
    )  # fmt: skip


class Speex(Live):
    """Wideband Speex at a constant bitrate, complexity 10, perceptual enhancement on.

    Args:
        kbps: one of RATES.

    Raises:
        MissingCodecError: libspeex is not installed.
    """

    family = "Speex-WB"
    sample_rate = 16000
    streaming = True
    frame = FRAME_SAMPLES

    def __init__(self, kbps: float) -> None:
        self.kbps, self.name = kbps, f"{self.family} {kbps:g}"
        self._settings = {SET_QUALITY: RATES.index(kbps), SET_COMPLEXITY: 10}
        self._speex = load_library(self.family, "speex", LIBRARIES["speex"])
        self._mode = ctypes.byref(ctypes.c_char.in_dll(self._speex, "speex_wb_mode"))
        for kind in ("encoder", "decoder"):
            getattr(self._speex, f"speex_{kind}_init").restype = ctypes.c_void_p
        lookahead, smoothing = ctypes.c_int(), ctypes.c_int()
        with self._coder("encoder") as (state, _):
            self._speex.speex_encoder_ctl(state, GET_LOOKAHEAD, ctypes.byref(lookahead))
        with self._coder("decoder") as (state, _):
            self._speex.speex_decoder_ctl(state, GET_LOOKAHEAD, ctypes.byref(smoothing))
        self.delay = lookahead.value + smoothing.value
        self.latency_ms = 1000 * (FRAME_SAMPLES + self.delay) / self.sample_rate

    @contextmanager
    def encoder(self) -> Iterator[Callable[[Samples], bytes]]:
        speex, buffer = self._speex, ctypes.create_string_buffer(MAX_BYTES)
        with self._coder("encoder") as (state, bits):
            for request, value in self._settings.items():
                speex.speex_encoder_ctl(state, request, ctypes.byref(ctypes.c_int(value)))

            def encode(frame: Samples) -> bytes:
                given = to_int16(frame)
                speex.speex_bits_reset(bits)
                speex.speex_encode_int(state, pointer(given), bits)
                used = speex.speex_bits_write(bits, buffer, MAX_BYTES)
                return buffer.raw[:used]

            yield encode

    @contextmanager
    def decoder(self) -> Iterator[Callable[[bytes], Samples]]:
        with self._coder("decoder") as (state, bits):

            def decode(packet: bytes) -> Samples:
                out = np.zeros(FRAME_SAMPLES, np.int16)
                self._speex.speex_bits_read_from(bits, packet, len(packet))
                if self._speex.speex_decode_int(state, bits, pointer(out)):
                    raise AudioDecError("Speex failed to decode a packet")
                return to_float(out)

            yield decode

    @contextmanager
    def _coder(self, kind: str) -> Iterator[tuple[ctypes.c_void_p, object]]:
        bits = _Bits()
        self._speex.speex_bits_init(ctypes.byref(bits))
        state = ctypes.c_void_p(getattr(self._speex, f"speex_{kind}_init")(self._mode))
        try:
            yield state, ctypes.byref(bits)
        finally:
            getattr(self._speex, f"speex_{kind}_destroy")(state)
            self._speex.speex_bits_destroy(ctypes.byref(bits))


def missing() -> str | None:
    """Say how to get the codec; None where it is there."""
    return missing_library("Speex-WB", LIBRARIES)


FAMILY = Family(Speex, RATES, missing=missing)
