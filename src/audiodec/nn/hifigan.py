"""The published vocoders (AudioDec v0 to v3): a causal HiFi-GAN generator.

Kong et al., "HiFi-GAN", 2020; grouped variant: Wu et al., "AudioDec", 2023.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from audiodec.config import HifiganDecoderConfig
from audiodec.nn.layers import CausalConv1d, CausalConvTranspose1d
from audiodec.nn.streaming import Causal, Chain, Pointwise, Residual, State, nest, select

SLOPE = 0.1  # of the leaky units inside; the last one has torch's default of 0.01


def residual_block(
    channels: int, kernel: int, dilations: tuple[int, ...], groups: int
) -> list[Causal]:
    """Make x + conv(act(dilated conv(act(x)))), once per dilation."""
    return [
        Residual(
            Chain(
                Pointwise(nn.LeakyReLU(SLOPE)),
                CausalConv1d(channels, channels, kernel, dilation=dilation, groups=groups),
                Pointwise(nn.LeakyReLU(SLOPE)),
                CausalConv1d(channels, channels, kernel, groups=groups),
            )
        )
        for dilation in dilations
    ]


class Mean(Causal):
    """The mean of parallel branches."""

    def __init__(self, *branches: Causal) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def initial_state(self, batch: int) -> State:
        state: State = {}
        for i, branch in enumerate(self.branches):
            assert isinstance(branch, Causal)
            state |= nest(str(i), branch.initial_state(batch))
        return state

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        outputs: list[Tensor] = []
        after: State = {}
        for i, branch in enumerate(self.branches):
            assert isinstance(branch, Causal)
            y, new = branch.step(x, select(str(i), state))
            outputs.append(y)
            after |= nest(str(i), new)
        return torch.stack(outputs).mean(0), after


class Repeat(nn.Module):
    """The channels, `times` times over."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def forward(self, x: Tensor) -> Tensor:
        return x.repeat(1, self.times, 1)


def fusion(channels: int, c: HifiganDecoderConfig) -> list[Causal]:
    """Make several receptive fields at once: parallel blocks, or one grouped block."""
    if c.groups == 1:
        blocks = [Chain(*residual_block(channels, k, c.dilations, 1)) for k in c.kernels]
        return [Mean(*blocks)]
    wide = channels * c.groups
    return [
        Pointwise(Repeat(c.groups)),
        *residual_block(wide, c.kernels[0], c.dilations, c.groups),
        CausalConv1d(wide, channels, 1, bias=False),
    ]


class HifiganDecoder(Causal):
    """Quantized latents [batch, dim, frames] -> waveform [batch, channels, frames * hop].

    Attributes:
        mean, scale: statistics of the quantized latents over the training set, [dim].
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, c: HifiganDecoderConfig, *, channels: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))
        layers: list[Causal] = [CausalConv1d(dim, c.channels, c.kernel)]
        width = c.channels
        for stride in c.strides:
            layers.append(Pointwise(nn.LeakyReLU(SLOPE)))
            layers.append(CausalConvTranspose1d(width, width // 2, 2 * stride, stride=stride))
            width //= 2
            layers += fusion(width, c)
        layers.append(Pointwise(nn.LeakyReLU()))
        layers.append(CausalConv1d(width, channels, c.kernel))
        layers.append(Pointwise(nn.Tanh()))
        self.layers = Chain(*layers)

    def initial_state(self, batch: int) -> State:
        return self.layers.initial_state(batch)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        x = (x - self.mean[:, None]) / self.scale[:, None]
        return self.layers.step(x, state)
