"""The published autoencoder (symAD, symAAD): a causal SEANet of strided convolutions.

Wu et al., "AudioDec: An Open-Source Streaming High-Fidelity Neural Audio Codec", 2023, after
SoundStream (Zeghidour et al., 2021).
"""

from __future__ import annotations

from torch import Tensor, nn

from audiodec.config import SeanetDecoderConfig, SeanetEncoderConfig
from audiodec.nn.layers import CausalConv1d, CausalConvTranspose1d
from audiodec.nn.streaming import Causal, Chain, Pointwise, Residual, State

DILATIONS = (1, 3, 9)  # of the residual units in each block


def residual_units(channels: int) -> list[Causal]:
    """Make x + conv(act(dilated conv(act(x)))), once per dilation."""
    return [
        Residual(
            Chain(
                Pointwise(nn.ELU()),
                CausalConv1d(channels, channels, 7, dilation=dilation, bias=False),
                Pointwise(nn.ELU()),
                CausalConv1d(channels, channels, 1, bias=False),
            )
        )
        for dilation in DILATIONS
    ]


class _Sequence(Causal):
    """What encoder and decoder share: one chain of layers, called `layers`."""

    def __init__(self, *layers: Causal) -> None:
        super().__init__()
        self.layers = Chain(*layers)

    def initial_state(self, batch: int) -> State:
        return self.layers.initial_state(batch)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        return self.layers.step(x, state)


class SeanetEncoder(_Sequence):
    """Waveform [batch, channels, frames * hop] -> latents [batch, dim, frames]."""

    def __init__(self, c: SeanetEncoderConfig, *, channels: int, dim: int) -> None:
        layers: list[Causal] = [CausalConv1d(channels, c.channels, 7, bias=False)]
        width = c.channels
        for ratio, stride in zip(c.ratios, c.strides, strict=True):
            layers += residual_units(width)
            wide, kernel = c.channels * ratio, 2 * stride
            layers.append(CausalConv1d(width, wide, kernel, stride=stride, delay=stride - 1))
            width = wide
        if c.activated:
            layers.append(Pointwise(nn.ELU()))
        layers.append(CausalConv1d(width, dim, 3, bias=False))  # the projector
        super().__init__(*layers)


class SeanetDecoder(_Sequence):
    """Quantized latents [batch, dim, frames] -> waveform [batch, channels, frames * hop]."""

    def __init__(self, c: SeanetDecoderConfig, *, channels: int, dim: int) -> None:
        widths = [c.channels * ratio for ratio in c.ratios] + [c.channels]
        layers: list[Causal] = [CausalConv1d(dim, widths[0], 7, bias=False)]
        for wide, narrow, stride in zip(widths, widths[1:], c.strides, strict=False):
            if c.activated:
                layers.append(Pointwise(nn.ELU()))
            layers.append(CausalConvTranspose1d(wide, narrow, 2 * stride, stride=stride))
            layers += residual_units(narrow)
        if c.activated:
            layers.append(Pointwise(nn.ELU()))
        layers.append(CausalConv1d(widths[-1], channels, 7, bias=False))
        if c.activated:
            layers.append(Pointwise(nn.Tanh()))
        super().__init__(*layers)
