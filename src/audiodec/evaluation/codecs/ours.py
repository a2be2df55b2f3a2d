"""The models of this project: bundled ones, trained ones, imported published checkpoints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import audiodec
from audiodec.errors import ConfigError
from audiodec.evaluation.codecs.base import frames_of_whole_bytes
from audiodec.runtime.base import Samples
from audiodec.session import Codec, check_effort


@dataclass(frozen=True)
class OursSpec:
    """A model (bundled name or folder; the default if None) at one bitrate (kbps) and effort."""

    model: str | None
    bitrate: float
    effort: int = 1

    def create(self) -> Ours:
        return Ours(audiodec.load(self.model), self.bitrate, self.effort)


class Ours:
    """A model at one bitrate, streamed packet by packet.

    A packet holds as few frames as fill whole bytes, so that the measured rate is the nominal
    one. Its length is the latency: the model looks at nothing beyond.

    Args:
        bitrate: kbps, one of the model's.
        effort: of the encoder's search, 1 to 64.

    Raises:
        ConfigError: a bitrate or effort not offered, or a model of several channels.
    """

    streaming = True

    def __init__(self, codec: Codec, bitrate: float, effort: int = 1) -> None:
        if codec.channels != 1:
            raise ConfigError(f"model {codec.info.id} takes {codec.channels} channels, not one")
        self.codec, self.kbps, self.effort = codec, bitrate, check_effort(effort)
        bits = codec.config.stages_for(bitrate) * codec.config.quantizer.code_bits
        self.frames = frames_of_whole_bytes(bits)
        self.sample_rate = codec.sample_rate
        self.latency_ms = 1000 * self.frames * codec.hop / codec.sample_rate
        self.family = f"AudioDec {codec.info.id}" + (f" effort {effort}" if effort > 1 else "")
        self.name = f"{self.family} {bitrate:g}"

    def encode(self, samples: Samples) -> list[bytes]:
        encoder = self.codec.encoder(self.kbps, self.effort, self.frames)
        return encoder.write(samples) + encoder.drain()

    def decode(self, packets: list[bytes]) -> Samples:
        decoder = self.codec.decoder(self.frames)
        return np.concatenate([np.zeros(0, np.float32), *map(decoder.decode, packets)])
