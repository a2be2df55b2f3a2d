"""The efficient default: all blocks run at the frame rate, between a DCT and its inverse.

Strictly causal with no look-ahead beyond the frame. Inside, frames are channels-last
[batch, frames, channels]; at the borders the project's common layout holds: waveform
[batch, 1, samples], latents [batch, dim, frames].
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from audiodec.config import SpectralDecoderConfig, SpectralEncoderConfig
from audiodec.nn.dct import bark_bands, dct_matrix, even_bands
from audiodec.nn.layers import DepthwiseFilter, RMSNorm
from audiodec.nn.streaming import Causal, Chain, Pointwise, Residual, State, nest, select


def linear(inputs: int, outputs: int, scale: float = 1.0) -> nn.Linear:
    """Make a linear map that keeps variance times scale squared; bias zero."""
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=scale / math.sqrt(inputs))
    nn.init.zeros_(layer.bias)
    return layer


class FeedForward(nn.Sequential):
    """Expand, SiLU, contract; [batch, frames, channels]."""

    def __init__(self, expand: nn.Linear, contract: nn.Linear) -> None:
        super().__init__(expand, nn.SiLU(), contract)


def block(width: int, expansion: float, kernel: int, dilation: int) -> Residual:
    """Make x + W2 SiLU(W1 filter(norm(x))). No norm on the residual stream itself, so that a linear
    path runs from end to end and the waveform locks within minutes of training."""
    hidden = round(width * expansion)
    return Residual(
        Chain(
            Pointwise(RMSNorm(width)),
            DepthwiseFilter(width, kernel, dilation),
            Pointwise(FeedForward(linear(width, hidden), linear(hidden, width, scale=0.3))),
        )
    )


def stack(width: int, expansion: float, kernel: int, dilations: tuple[int, ...]) -> list[Causal]:
    """Put one block after another, each with its dilation."""
    return [block(width, expansion, kernel, dilation) for dilation in dilations]


class Join(nn.Module):
    """Neighbouring sub-frames to one frame: [batch, n * count, inputs] -> [batch, n, outputs]."""

    def __init__(self, count: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = linear(count * inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(x.reshape(x.shape[0], -1, self.linear.in_features))
        return y


class Split(nn.Module):
    """A frame to its sub-frames: [batch, n, inputs] -> [batch, n * count, outputs]."""

    def __init__(self, count: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear, self.outputs = linear(inputs, count * outputs), outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(x).reshape(x.shape[0], -1, self.outputs)
        return y


class SpectralFeatures(Causal):
    """Waveform -> partly whitened DCT coefficients, band levels and sub-frame levels.

    Each (sub-)frame sees its own `hop` samples and the `hop` before, less the mean of the latest
    `offset_frames` frames: a microphone's offset costs no codes. No gradient, float32.
    """

    window: Tensor
    dct: Tensor
    average: Tensor
    spread: Tensor

    sub_blocks = 8  # levels of the first difference inside the window: time detail

    def __init__(self, c: SpectralEncoderConfig, *, hop: int, sample_rate: int) -> None:
        super().__init__()
        self.hop = hop = hop // c.sub_frames
        self.whitening, self.offset_frames = c.whitening, c.offset_frames
        size, fade = 2 * hop, 24
        window = torch.ones(size)
        window[:hop] = torch.sin(torch.arange(hop) / hop * math.pi / 2)
        # The newest samples are eased down to 0.3: a jump to nothing would smear the spectrum.
        ease = torch.cos(torch.arange(1, fade + 1) / fade * math.pi / 2)
        window[size - fade :] *= 0.3 + 0.7 * ease
        average, spread = bark_bands(size, c.bands, sample_rate / 2)
        self.register_buffer("dct", dct_matrix(size) * window, persistent=False)
        self.register_buffer("average", average, persistent=False)
        self.register_buffer("spread", spread[:, :hop], persistent=False)
        self.width = hop + average.shape[1] + self.sub_blocks

    def initial_state(self, batch: int) -> State:
        state = {"past": self.dct.new_zeros(batch, 1, self.hop)}
        if self.offset_frames:
            state["means"] = self.dct.new_zeros(batch, self.offset_frames - 1)
        return state

    @torch.no_grad()
    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Compute features: [batch, 1, frames * hop] -> [batch, frames, width]."""
        new = x.reshape(x.shape[0], -1, self.hop)
        old = torch.cat([state["past"], new[:, :-1]], dim=1)
        frames = torch.cat([old, new], dim=-1)
        following: State = {"past": new[:, -1:]}
        if self.offset_frames:
            means = torch.cat([state["means"], new.mean(-1)], dim=1)
            following["means"] = means[:, new.shape[1] :]
            kernel = means.new_full((1, 1, self.offset_frames), 1 / self.offset_frames)
            offset = functional.conv1d(means[:, None], kernel)
            frames = frames - offset.transpose(1, 2)
        coefficients = functional.linear(frames, self.dct)
        levels = torch.log(coefficients.square() @ self.average + 1e-8)
        gain = 3 * torch.exp(-0.5 * self.whitening * (levels @ self.spread))
        difference = functional.pad(frames[..., 1:] - frames[..., :-1], (1, 0))
        pieces = difference.reshape(*new.shape[:2], self.sub_blocks, -1)
        detail = torch.log(pieces.square().mean(-1) + 1e-9)
        shape = coefficients[..., : self.hop] * gain
        features = torch.cat([shape, 0.2 * levels + 1.6, 0.2 * detail + 2.4], dim=-1)
        return features, following


class SpectralEncoder(Causal):
    """Waveform [batch, 1, frames * hop] -> latents [batch, dim, frames]."""

    def __init__(self, c: SpectralEncoderConfig, *, hop: int, sample_rate: int, dim: int) -> None:
        super().__init__()
        self.features = SpectralFeatures(c, hop=hop, sample_rate=sample_rate)
        first = c.width if c.sub_frames == 1 else c.fine_width
        self.input = nn.Linear(self.features.width, first)
        nn.init.normal_(self.input.weight, std=1 / math.sqrt(self.features.hop))
        nn.init.zeros_(self.input.bias)
        blocks = stack(c.width, c.expansion, c.kernel, c.dilations)
        if c.sub_frames > 1:
            fine = stack(c.fine_width, c.expansion, c.fine_kernel, c.fine_dilations)
            blocks = [*fine, Pointwise(Join(c.sub_frames, c.fine_width, c.width)), *blocks]
        self.blocks = Chain(*blocks)
        self.output = linear(c.width, dim)

    def initial_state(self, batch: int) -> State:
        return nest("features", self.features.initial_state(batch)) | nest(
            "blocks", self.blocks.initial_state(batch)
        )

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        with torch.autocast(x.device.type, enabled=False):
            features, features_state = self.features.step(x, select("features", state))
        h, blocks_state = self.blocks.step(self.input(features), select("blocks", state))
        latents = self.output(h).transpose(1, 2)
        return latents, nest("features", features_state) | nest("blocks", blocks_state)


class GainShapeHead(Causal):
    """Hidden frames -> waveform: DCT coefficients, inverse DCT, short cross-fade.

    Each frame writes its own `hop` samples and a tail that fades into the next frame, so there
    is no latency beyond the frame. Below `noise_above` a coefficient is its shape times the gain
    of its band. Above it is noise with the level of its band, for what sounds there in speech is
    heard as its envelope, not as its waveform (perceptual noise substitution, Herre and Schulz,
    1998). The noise comes from a fixed table, so the same codes decode to the same sound. Float32.
    """

    inverse: Tensor
    spread: Tensor
    noise: Tensor
    noise_spread: Tensor

    table_size = 128  # frames after which the noise repeats: 0.85 s; divides a file's block

    def __init__(self, c: SpectralDecoderConfig, *, hop: int, sample_rate: int) -> None:
        super().__init__()
        self.hop, self.overlap = hop // c.sub_frames, c.overlap
        size, nyquist = self.hop + c.overlap, sample_rate / 2
        width = c.width if c.sub_frames == 1 else c.fine_width
        ramp = 0.5 - 0.5 * torch.cos(math.pi * (torch.arange(c.overlap) + 0.5) / c.overlap)
        window = torch.cat([ramp, torch.ones(size - 2 * c.overlap), ramp.flip(0)])
        self.register_buffer("inverse", (dct_matrix(size) * window).t(), persistent=False)
        self.shaped = min(size, round(c.noise_above / nyquist * size))  # coefficients
        spread = bark_bands(size, c.bands, nyquist)[1][:, : self.shaped]
        spread = spread[spread.any(1)]
        self.register_buffer("spread", spread, persistent=False)
        self.shape = linear(width, self.shaped)
        self.gain = linear(width, len(spread), scale=0.3)
        noise_spread = even_bands(size, c.noise_above, nyquist, c.noise_width)[:, self.shaped :]
        self.register_buffer("noise_spread", noise_spread, persistent=False)
        fixed = torch.Generator().manual_seed(0)
        noise = torch.randint(0, 2, (self.table_size, size - self.shaped), generator=fixed)
        self.register_buffer("noise", noise * 2.0 - 1, persistent=False)
        self.noise_gain = linear(width, len(noise_spread), scale=0.3)
        # Speech is louder at low frequencies: start there.
        with torch.no_grad():
            self.gain.bias.copy_(torch.linspace(-3.5, -5, len(spread)))
            self.noise_gain.bias.copy_(torch.linspace(-5, -6, len(noise_spread)))

    def initial_state(self, batch: int) -> State:
        return {
            "tail": self.inverse.new_zeros(batch, self.overlap),
            "frame": self.inverse.new_zeros(batch, 1),
        }

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        shape, gain, level = self.shape(x).float(), self.gain(x).float(), self.noise_gain(x).float()
        with torch.autocast(x.device.type, enabled=False):
            shaped = shape * (gain.clamp(-12.0, 3.0).exp() @ self.spread)
            count = state["frame"] + torch.arange(x.shape[1], device=x.device)
            row = count.fmod(self.table_size).long()
            noise = functional.embedding(row, self.noise)
            noise = noise * (level.clamp(-12.0, 3.0).exp() @ self.noise_spread)
            y = functional.linear(torch.cat([shaped, noise], dim=-1), self.inverse)
        # The tail of each frame lies under the start of the next.
        tails = torch.cat([state["tail"][:, None], y[:, :-1, self.hop :]], dim=1)
        own = y[..., : self.hop] + functional.pad(tails, (0, self.hop - self.overlap))
        after = {"tail": y[:, -1, self.hop :], "frame": row[:, -1:].float() + 1}
        return own.reshape(x.shape[0], 1, -1), after


class SpectralDecoder(Causal):
    """Quantized latents [batch, dim, frames] -> waveform [batch, 1, frames * hop]."""

    def __init__(self, c: SpectralDecoderConfig, *, hop: int, sample_rate: int, dim: int) -> None:
        super().__init__()
        self.input = linear(dim, c.width)
        blocks = stack(c.width, c.expansion, c.kernel, c.dilations)
        if c.sub_frames > 1:
            fine = stack(c.fine_width, c.expansion, c.fine_kernel, c.fine_dilations)
            blocks = [*blocks, Pointwise(Split(c.sub_frames, c.width, c.fine_width)), *fine]
        self.blocks = Chain(*blocks)
        self.head = GainShapeHead(c, hop=hop, sample_rate=sample_rate)

    def initial_state(self, batch: int) -> State:
        return nest("blocks", self.blocks.initial_state(batch)) | nest(
            "head", self.head.initial_state(batch)
        )

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        h, blocks_state = self.blocks.step(self.input(x.transpose(1, 2)), select("blocks", state))
        y, head_state = self.head.step(h, select("head", state))
        return y, nest("blocks", blocks_state) | nest("head", head_state)
