"""Causal layers with explicit state."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

from audiodec.nn.streaming import Causal, State


class CausalConv1d(Causal):
    """Convolution over time that sees no future; `stride` samples in, one out.

    Keeps the `(kernel - 1) * dilation + 1 - stride` past samples it still needs. A step takes a
    multiple of `stride` samples: [batch, in, n * stride] -> [batch, out, n].

    Args:
        delay: samples, below the stride, by which each output looks further back, as if the input
            came later. The published strided layers have stride - 1.

    Raises:
        ValueError: the stride is longer than the kernel's reach (samples would be skipped).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
        delay: int = 0,
    ) -> None:
        super().__init__()
        self.past = (kernel - 1) * dilation + 1 - stride + delay
        if self.past < delay:
            raise ValueError(f"stride {stride} is longer than the kernel's reach")
        self.conv = nn.Conv1d(
            in_channels, out_channels, kernel, stride, dilation=dilation, groups=groups, bias=bias
        )

    def initial_state(self, batch: int) -> State:
        return _past_samples(self.conv, batch, self.past)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        x, after = _with_past(x, state, self.past)
        return self.conv(x), after


class CausalConvTranspose1d(Causal):
    """Upsampling by `stride`: [batch, in, n] -> [batch, out, n * stride], no future needed.

    Each input reaches `kernel` outputs from its own first one on; keeps the past inputs that
    reach into the present.

    Raises:
        ValueError: the kernel is shorter than the stride (samples would stay empty).
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, *, stride: int, bias: bool = True
    ) -> None:
        super().__init__()
        if kernel < stride:
            raise ValueError(f"kernel {kernel} is shorter than the stride {stride}")
        self.stride, self.past = stride, math.ceil(kernel / stride) - 1
        self.conv = nn.ConvTranspose1d(in_channels, out_channels, kernel, stride, bias=False)
        self.bias = nn.Parameter(torch.zeros(out_channels, 1)) if bias else None

    def initial_state(self, batch: int) -> State:
        return _past_samples(self.conv, batch, self.past)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        x, after = _with_past(x, state, self.past)
        return self.upsample(x), after

    def upsample(self, x: Tensor) -> Tensor:
        """Convolve [batch, in, past + n] to [batch, out, n * stride]."""
        y: Tensor = self.conv(x)[..., self.past * self.stride : x.shape[-1] * self.stride]
        return y if self.bias is None else y + self.bias


def _past_samples(conv: nn.Conv1d | nn.ConvTranspose1d, batch: int, count: int) -> State:
    """Give the silence before a stream, if the layer looks back at all."""
    return {"past": conv.weight.new_zeros(batch, conv.in_channels, count)} if count else {}


def _with_past(x: Tensor, state: State, count: int) -> tuple[Tensor, State]:
    """Give the samples to convolve, and the state after them."""
    if not count:
        return x, {}
    x = torch.cat([state["past"].to(x.dtype), x], dim=-1)
    return x, {"past": x[..., -count:]}


class RMSNorm(nn.Module):
    """Root-mean-square norm over the last dimension, in the input's own precision.

    Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, x.shape[-1:], self.gain.to(x.dtype), 1e-5)


class DepthwiseFilter(Causal):
    """One causal filter per channel on channels-last frames: [batch, frames, channels].

    Starts as the identity plus noise. In torch on a CPU, shifted multiply-adds are several times
    faster than a grouped convolution of this size.
    """

    def __init__(self, channels: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.past = (kernel - 1) * dilation
        weight = torch.randn(kernel, channels) * 0.2 / math.sqrt(kernel)
        weight[-1] += 1
        self.weight = nn.Parameter(weight)

    def initial_state(self, batch: int) -> State:
        return {"past": self.weight.new_zeros(batch, self.past, self.weight.shape[1])}

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        x = torch.cat([state["past"].to(x.dtype), x], dim=1)
        after = {"past": x[:, x.shape[1] - self.past :]}
        return self.filter(x, self.weight.to(x.dtype)), after

    def filter(self, x: Tensor, weight: Tensor) -> Tensor:
        """Filter [batch, past + frames, channels] with weight [kernel, channels] to [batch, frames,
        channels]."""
        frames = x.shape[1] - self.past
        starts = range(0, self.past + 1, self.dilation)
        y = x[:, self.past :] * weight[-1]
        for start, w in zip(starts[:-1], weight[:-1], strict=True):
            y = torch.addcmul(y, x[:, start : start + frames], w)
        return y


def add_weight_norm(module: nn.Module) -> None:
    """Let every convolution's weight learn as direction and length.

    Salimans and Kingma, "Weight Normalization", 2016. Undo with `fold_weight_norm`.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv1d | nn.ConvTranspose1d):
            weight_norm(layer)


def fold_weight_norm(module: nn.Module) -> None:
    """Make plain weights of direction and length, for inference."""
    for layer in module.modules():
        if is_parametrized(layer, "weight"):
            remove_parametrizations(layer, "weight")
