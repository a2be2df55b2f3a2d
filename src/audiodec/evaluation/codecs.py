"""Every codec behind one interface: audio at 48 kHz in, packets, audio out."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soxr

import audiodec
from audiodec.errors import AudioDecError, ConfigError, MissingExtraError
from audiodec.runtime.base import Samples
from audiodec.session import Codec

RATE = 48000


@dataclass(frozen=True)
class Result:
    """One clip through one codec.

    Attributes:
        audio: decoded, at 48 kHz, delay removed, as long as the input.
        payload_bytes: of all packets, from which the bitrate is measured.
    """

    audio: Samples
    payload_bytes: int


class Peer(Protocol):
    """A codec at one setting."""

    name: str

    def run(self, samples: Samples) -> Result:
        """Code and decode one clip, [samples] at 48 kHz."""
        ...


class Spec(Protocol):
    """What makes a codec; it can be sent to another process."""

    def create(self) -> Peer:
        """The codec, ready to run."""
        ...


@dataclass(frozen=True)
class OursSpec:
    """A model of this project at one bitrate (kbps) and effort."""

    model: str | None
    bitrate: float
    effort: int = 1

    def create(self) -> Ours:
        return Ours(audiodec.load(self.model), self.bitrate, self.effort)


@dataclass(frozen=True)
class OpusSpec:
    """Opus at one nominal bitrate (kbps)."""

    bitrate: float
    fullband: bool

    def create(self) -> Opus:
        return Opus(self.bitrate, self.fullband)


class Ours:
    """A model of this project.

    Args:
        bitrate: kbps.
        effort: of the encoder's search.
    """

    def __init__(self, codec: Codec, bitrate: float, effort: int = 1) -> None:
        if codec.channels != 1:
            raise ConfigError(f"model {codec.info.id} takes {codec.channels} channels, not one")
        self.codec, self.bitrate, self.effort = codec, bitrate, effort
        self.name = f"AudioDec {bitrate:g}" + (f" effort {effort}" if effort > 1 else "")

    def run(self, samples: Samples) -> Result:
        # Four frames a packet: whole bytes at every number of 10-bit stages.
        encoder = self.codec.encoder(self.bitrate, self.effort, frames_per_packet=4)
        rate = self.codec.sample_rate
        packets = encoder.write(_resampled(samples, RATE, rate)) + encoder.drain()
        decoder = self.codec.decoder(frames_per_packet=4)
        audio = np.concatenate([decoder.decode(packet) for packet in packets])
        audio = _resampled(audio, rate, RATE)
        return Result(audio[: len(samples)], sum(map(len, packets)))


class Opus:
    """libopus, 20 ms frames, VoIP mode, complexity 10, its own variable bitrate.

    At 12 kbps it chooses wideband (8 kHz) by itself; `fullband` forces 20 kHz.

    Args:
        bitrate: nominal kbps.
    """

    frame = 960  # samples

    def __init__(self, bitrate: float, fullband: bool) -> None:
        self.bitrate, self.fullband = bitrate, fullband
        self.library = _opus_library()
        version = self.library.opus_get_version_string().decode().removeprefix("libopus ")
        self.name = f"Opus {version} {'fullband' if fullband else 'auto'} {bitrate:g}"

    def run(self, samples: Samples) -> Result:
        return self._run(samples, [], 0.0)

    def over_losses(
        self, samples: Samples, lost: Sequence[bool], expected: float
    ) -> tuple[Samples, int]:
        """Lose packets; recover them from the in-band FEC of the next, or conceal.

        Args:
            lost: of each packet; those beyond its end arrive.
            expected: share of losses that the encoder is told to prepare for.

        Returns:
            audio as long as the input, and the bytes sent.
        """
        result = self._run(samples, lost, expected)
        return result.audio, result.payload_bytes

    def _run(self, samples: Samples, lost: Sequence[bool], expected: float) -> Result:
        opus, error = self.library, ctypes.c_int()
        encoder = opus.opus_encoder_create(RATE, 1, 2048, ctypes.byref(error))
        decoder = opus.opus_decoder_create(RATE, 1, ctypes.byref(error))
        if not encoder or not decoder:
            raise AudioDecError(f"libopus cannot start: error {error.value}")
        try:
            settings = {4002: int(1000 * self.bitrate), 4010: 10}
            if self.fullband:
                settings[4008] = 1105
            if expected:
                settings |= {4012: 1, 4014: max(1, round(100 * expected))}
            for request, value in settings.items():
                opus.opus_encoder_ctl(encoder, request, ctypes.c_int(value))
            lookahead = ctypes.c_int()
            opus.opus_encoder_ctl(encoder, 4027, ctypes.byref(lookahead))
            packets = self._encode(samples, encoder, lookahead.value)
            audio = self._decode(packets, decoder, lost)
        finally:
            opus.opus_encoder_destroy(encoder)
            opus.opus_decoder_destroy(decoder)
        # The last packets only flush the lookahead; count them as a stream of this length would.
        size = round(sum(map(len, packets)) * len(samples) / len(audio))
        return Result(audio[lookahead.value :][: len(samples)], size)

    def _encode(self, samples: Samples, encoder: int, lookahead: int) -> list[bytes]:
        count = -(-(len(samples) + lookahead) // self.frame)
        padded = np.zeros(count * self.frame, np.float32)
        padded[: len(samples)] = samples
        buffer, packets = ctypes.create_string_buffer(4000), []
        for start in range(0, len(padded), self.frame):
            used = self.library.opus_encode_float(
                encoder, _pointer(padded, start), self.frame, buffer, len(buffer)
            )
            if used < 0:
                raise AudioDecError(f"libopus failed to encode: {used}")
            packets.append(buffer.raw[:used])
        return packets

    def _decode(self, packets: list[bytes], decoder: int, lost: Sequence[bool]) -> Samples:
        arrived = [None if gone else p for p, gone in zip(packets, lost, strict=False)]
        arrived += packets[len(arrived) :]
        out = np.zeros(len(packets) * self.frame, np.float32)
        for number, packet in enumerate(arrived):
            # A lost packet is recovered from the next one, where that has arrived.
            fec = packet is None and number + 1 < len(arrived)
            data = arrived[number + 1] if fec else packet
            decoded = self.library.opus_decode_float(
                decoder, data, len(data or b""), _pointer(out, number * self.frame), self.frame,
                int(fec and data is not None),
            )  # fmt: skip
            if decoded != self.frame:
                raise AudioDecError(f"libopus failed to decode: {decoded}")
        return out


def _resampled(samples: Samples, rate: int, to: int) -> Samples:
    return samples if rate == to else np.asarray(soxr.resample(samples, rate, to), np.float32)


def _pointer(array: Samples, start: int) -> Any:
    return array[start:].ctypes.data_as(ctypes.POINTER(ctypes.c_float))


@functools.cache
def _opus_library() -> Any:
    """The libopus inside the wheel of PyAV.

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
