"""The models of this project: bundled ones, trained ones, imported published checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import audiodec
from audiodec.arrays import Samples
from audiodec.checks import check_beam_width
from audiodec.codec import Codec
from audiodec.errors import ConfigError
from audiodec.evaluation.codecs.base import frames_of_whole_bytes
from audiodec.evaluation.codecs.live import Live


@dataclass(frozen=True)
class OursSpec:
    """A model (bundled name or folder; None: the default) at one bitrate (kbps) and beam width."""

    model: str | None
    bitrate: float
    beam_width: int = 1

    def create(self) -> Ours:
        return Ours(audiodec.load(self.model), self.bitrate, self.beam_width)


class Ours(Live):
    """A model at one bitrate, streamed packet by packet.

    A packet holds as few frames as fill whole bytes, so that the measured rate is the nominal
    one. Its length is the latency: the model looks at nothing beyond.

    Args:
        bitrate: kbps, one of the model's.
        beam_width: code sequences that the search keeps, 1 to 64.

    Raises:
        ConfigError: a bitrate or beam width not offered, or a model of several channels.
    """

    streaming = True

    def __init__(self, codec: Codec, bitrate: float, beam_width: int = 1) -> None:
        if codec.channels != 1:
            raise ConfigError(f"model {codec.info.id} takes {codec.channels} channels, not one")
        self.codec, self.kbps, self.beam_width = codec, bitrate, check_beam_width(beam_width)
        bits = codec.config.codebooks_for(bitrate) * codec.config.quantizer.code_bits
        self.frames = frames_of_whole_bytes(bits)
        self.sample_rate, self.frame = codec.sample_rate, self.frames * codec.hop
        self.latency_ms = 1000 * self.frame / codec.sample_rate
        beam = f" beam {beam_width}" if beam_width > 1 else ""
        self.family = f"AudioDec {codec.info.id}{beam}"
        self.name = f"{self.family} {bitrate:g}"

    @contextmanager
    def encoder(self) -> Iterator[Callable[[Samples], bytes]]:
        encoder = self.codec.encoder(self.kbps, self.beam_width, self.frames)
        yield lambda frame: encoder.write(frame)[0]

    @contextmanager
    def decoder(self) -> Iterator[Callable[[bytes], Samples]]:
        yield self.codec.decoder(self.frames).decode

    def encode(self, samples: Samples) -> list[bytes]:
        encoder = self.codec.encoder(self.kbps, self.beam_width, self.frames)
        return encoder.write(samples) + encoder.drain()  # many packets at once are quicker
