"""Opus (RFC 6716): the libopus that PyAV's wheel carries, through ctypes."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from audiodec.arrays import Samples
from audiodec.errors import AudioDecError, MissingExtraError
from audiodec.evaluation.codecs.base import RATE, Family
from audiodec.evaluation.codecs.live import Live, frames_of
from audiodec.evaluation.codecs.native import pointer

FRAME_SAMPLES = 960  # samples: 20 ms
RATES = (6, 9, 12, 16, 24, 32)  # kbps; it takes any between
# Requests of opus_encoder_ctl, from opus_defines.h.
SET_BITRATE, SET_BANDWIDTH, SET_COMPLEXITY = 4002, 4008, 4010
SET_INBAND_FEC, SET_PACKET_LOSS_PERC, GET_LOOKAHEAD = 4012, 4014, 4027
FULLBAND = 1105


@dataclass(frozen=True)
class OpusSpec:
    """Opus at one nominal bitrate (kbps)."""

    bitrate: float
    fullband: bool

    def create(self) -> Opus:
        return Opus(self.bitrate, self.fullband)


class Opus(Live):
    """libopus, 20 ms frames, VoIP mode, complexity 10, its own variable bitrate.

    At 12 kbps it chooses wideband (8 kHz) by itself; `fullband` forces 20 kHz.

    Args:
        bitrate: nominal kbps.

    Raises:
        MissingExtraError: PyAV is not installed.
    """

    sample_rate = RATE
    streaming = True
    frame = FRAME_SAMPLES

    def __init__(self, bitrate: float, fullband: bool) -> None:
        self.kbps, self.fullband = bitrate, fullband
        self.library = _opus_library()
        version = self.library.opus_get_version_string().decode().removeprefix("libopus ")
        self.family = f"Opus {version} {'fullband' if fullband else 'auto'}"
        self.name = f"{self.family} {bitrate:g}"
        with self._started(0.0) as encoder:
            delay = ctypes.c_int()
            self.library.opus_encoder_ctl(encoder, GET_LOOKAHEAD, ctypes.byref(delay))
        self.delay = delay.value  # samples
        self.latency_ms = 1000 * (FRAME_SAMPLES + self.delay) / RATE

    @contextmanager
    def encoder(self, expected_loss: float = 0.0) -> Iterator[Callable[[Samples], bytes]]:
        with self._started(expected_loss) as encoder:
            buffer = ctypes.create_string_buffer(4000)

            def encode(frame: Samples) -> bytes:
                used: int = self.library.opus_encode_float(
                    encoder, pointer(frame), FRAME_SAMPLES, buffer, len(buffer)
                )
                if used < 0:
                    raise AudioDecError(f"libopus failed to encode: {used}")
                return buffer.raw[:used]

            yield encode

    @contextmanager
    def decoder(self) -> Iterator[_Decode]:
        error = ctypes.c_int()
        decoder = self.library.opus_decoder_create(RATE, 1, ctypes.byref(error))
        if not decoder:
            raise AudioDecError(f"libopus cannot start: error {error.value}")

        def decode(packet: bytes | None, fec: bool = False) -> Samples:
            out = np.zeros(FRAME_SAMPLES, np.float32)
            decoded = self.library.opus_decode_float(
                decoder, packet, len(packet or b""), pointer(out), FRAME_SAMPLES, int(fec)
            )
            if decoded != FRAME_SAMPLES:
                raise AudioDecError(f"libopus failed to decode: {decoded}")
            return out

        try:
            yield decode
        finally:
            self.library.opus_decoder_destroy(decoder)

    def over_losses(
        self, samples: Samples, lost: Sequence[bool], expected: float
    ) -> tuple[Samples, int]:
        """Lose packets; recover them from the in-band FEC of the next, or conceal.

        Args:
            samples: [n] at 48 kHz.
            lost: of each packet; those beyond its end arrive.
            expected: share of losses that the encoder is told to prepare for.

        Returns:
            audio as long as the input, and the bytes sent.
        """
        with self.encoder(expected) as encode:
            packets = [encode(frame) for frame in frames_of(samples, FRAME_SAMPLES, self.delay)]
        gone = [number < len(lost) and lost[number] for number in range(len(packets))]
        decoded = []
        with self.decoder() as decode:
            for number, packet in enumerate(packets):
                if not gone[number]:
                    decoded.append(decode(packet))
                elif number + 1 < len(packets) and not gone[number + 1]:
                    decoded.append(decode(packets[number + 1], fec=True))
                else:
                    decoded.append(decode(None))
        # The last packets only flush the delay; count them as a stream of this length would.
        size = round(sum(map(len, packets)) * len(samples) / (len(packets) * FRAME_SAMPLES))
        return np.concatenate(decoded)[self.delay :][: len(samples)], size

    @contextmanager
    def _started(self, expected_loss: float) -> Iterator[int]:
        settings = {SET_BITRATE: round(1000 * self.kbps), SET_COMPLEXITY: 10}
        if self.fullband:
            settings[SET_BANDWIDTH] = FULLBAND
        if expected_loss:
            settings[SET_INBAND_FEC] = 1
            settings[SET_PACKET_LOSS_PERC] = max(1, round(100 * expected_loss))
        error = ctypes.c_int()
        encoder = self.library.opus_encoder_create(RATE, 1, 2048, ctypes.byref(error))
        if not encoder:
            raise AudioDecError(f"libopus cannot start: error {error.value}")
        try:
            for request, value in settings.items():
                self.library.opus_encoder_ctl(encoder, request, ctypes.c_int(value))
            yield encoder
        finally:
            self.library.opus_encoder_destroy(encoder)


class _Decode(Protocol):
    """A packet, None for a lost one; or with `fec` the packet after a lost one."""

    def __call__(self, packet: bytes | None, fec: bool = False) -> Samples: ...


@functools.cache
def _opus_library() -> Any:
    """Find the libopus inside the wheel of PyAV.

    Raises:
        MissingExtraError: PyAV is not installed.
    """
    try:
        import av
    except ImportError:
        raise MissingExtraError("Opus", "bench") from None
    folder = Path(av.__file__).parent.parent / "av.libs"
    found = sorted(folder.glob("libopus*"))
    if not found:
        raise AudioDecError(f"this build of PyAV has no libopus in {folder}")
    library = ctypes.CDLL(str(found[0]))
    library.opus_get_version_string.restype = ctypes.c_char_p
    for kind in ("encoder", "decoder"):
        getattr(library, f"opus_{kind}_create").restype = ctypes.c_void_p
        getattr(library, f"opus_{kind}_destroy").argtypes = [ctypes.c_void_p]
    library.opus_encoder_create.argtypes = [ctypes.c_int] * 3 + [ctypes.c_void_p]
    library.opus_decoder_create.argtypes = [ctypes.c_int] * 2 + [ctypes.c_void_p]
    floats, integer = ctypes.POINTER(ctypes.c_float), ctypes.c_int
    # opus_encoder_ctl is variadic: only its fixed arguments may be declared.
    library.opus_encoder_ctl.argtypes = [ctypes.c_void_p, integer]
    library.opus_encode_float.argtypes = [
        ctypes.c_void_p, floats, integer, ctypes.c_char_p, integer
    ]  # fmt: skip
    library.opus_decode_float.argtypes = [
        ctypes.c_void_p, ctypes.c_char_p, integer, floats, integer, integer
    ]  # fmt: skip
    return library


def missing() -> str | None:
    """Say how to get Opus; None where it is there."""
    try:
        _opus_library()
    except AudioDecError as error:
        return str(error)
    return None


AUTO = Family(functools.partial(Opus, fullband=False), RATES, continuous=True, missing=missing)
WHOLE = Family(functools.partial(Opus, fullband=True), RATES, continuous=True, missing=missing)
