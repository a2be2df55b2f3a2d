"""A codec is an encoder, a quantizer and a decoder; any part can be exchanged."""

from __future__ import annotations

from torch import nn

from audiodec.config import CodecConfig
from audiodec.nn.hifigan import HifiganDecoder
from audiodec.nn.quantizer import ResidualQuantizer
from audiodec.nn.seanet import SeanetDecoder, SeanetEncoder
from audiodec.nn.spectral import SpectralDecoder, SpectralEncoder
from audiodec.nn.streaming import Causal

ENCODERS = {"spectral": SpectralEncoder, "seanet": SeanetEncoder}
DECODERS = {"spectral": SpectralDecoder, "seanet": SeanetDecoder, "hifigan": HifiganDecoder}


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
        self.encoder = ENCODERS[config.encoder.kind](config)
        self.quantizer = ResidualQuantizer(config.quantizer)
        self.decoder = DECODERS[config.decoder.kind](config)
