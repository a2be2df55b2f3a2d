"""A codec is an encoder, a quantizer and a decoder; any part can be exchanged."""

from __future__ import annotations

from torch import nn

from audiodec.codec.spectral import SpectralDecoder, SpectralEncoder
from audiodec.config import CodecConfig
from audiodec.quantization.residual import ResidualQuantizer


class Codec(nn.Module):
    """Waveform -> latents -> codes -> quantized latents -> waveform.

    Attributes:
        encoder: waveform [batch, 1, frames * hop] -> latents [batch, dim, frames].
        quantizer: latents <-> codes [batch, stages, frames].
        decoder: quantized latents -> waveform.
    """

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = SpectralEncoder(config)
        self.quantizer = ResidualQuantizer(config.quantizer)
        self.decoder = SpectralDecoder(config)
