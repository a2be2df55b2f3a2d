"""A codec is an encoder, a quantizer and a decoder; any part can be exchanged."""

from __future__ import annotations

from torch import nn

from audiodec.config import (
    CodecConfig,
    HifiganDecoderConfig,
    SpectralDecoderConfig,
    SpectralEncoderConfig,
)
from audiodec.nn.hifigan import HifiganDecoder
from audiodec.nn.quantizer import ResidualQuantizer
from audiodec.nn.seanet import SeanetDecoder, SeanetEncoder
from audiodec.nn.spectral import SpectralDecoder, SpectralEncoder
from audiodec.nn.streaming import Causal


class Network(nn.Module):
    """Waveform -> latents -> codes -> quantized latents -> waveform.

    Attributes:
        encoder: waveform [batch, channels, frames * hop] -> latents [batch, dim, frames].
        quantizer: latents <-> codes [batch, codebooks, frames].
        decoder: quantized latents -> waveform.
    """

    encoder: Causal
    decoder: Causal

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = make_encoder(config)
        self.quantizer = ResidualQuantizer(config.quantizer)
        self.decoder = make_decoder(config)


def make_encoder(config: CodecConfig) -> Causal:
    """Make the encoder of the kind that the configuration asks for."""
    part, dim = config.encoder, config.quantizer.dim
    if isinstance(part, SpectralEncoderConfig):
        return SpectralEncoder(part, hop=config.hop, sample_rate=config.sample_rate, dim=dim)
    return SeanetEncoder(part, channels=config.channels, dim=dim)


def make_decoder(config: CodecConfig) -> Causal:
    """Make the decoder of the kind that the configuration asks for."""
    part, dim = config.decoder, config.quantizer.dim
    if isinstance(part, SpectralDecoderConfig):
        return SpectralDecoder(part, hop=config.hop, sample_rate=config.sample_rate, dim=dim)
    if isinstance(part, HifiganDecoderConfig):
        return HifiganDecoder(part, channels=config.channels, dim=dim)
    return SeanetDecoder(part, channels=config.channels, dim=dim)
