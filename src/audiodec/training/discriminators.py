"""The published discriminators, and one for a CPU. Each maps a waveform [batch, 1, samples] to
feature maps, the last of which is the verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from audiodec.training.published_losses import STFTS, power_spectrum

Features = list[Tensor]
PERIODS = (2, 3, 5, 7, 11)
FRAME_SAMPLES = (512, 1024, 2048)


class _Layers(nn.Module):
    """Convolutions with leaky units between; every output is a feature map."""

    def __init__(self, slope: float, layers: list[nn.Module]) -> None:
        super().__init__()
        self.slope, self.layers = slope, nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Features:
        features = []
        for layer in self.layers[:-1]:
            x = functional.leaky_relu(layer(x), self.slope)
            features.append(x)
        return [*features, self.layers[-1](x)]


class ScaleDiscriminator(_Layers):
    """Grouped convolutions on the waveform (MelGAN; HiFi-GAN's multi-scale part)."""

    def __init__(self, width: float, norm: Callable[[nn.Module], nn.Module]) -> None:
        first, most = _scaled(128, width), _scaled(1024, width)
        layers = [nn.Conv1d(1, first, 15, padding=7)]
        channels, out, groups = first, first, 4
        for stride in (4, 4, 4, 4, 1):
            layers.append(nn.Conv1d(channels, out, 41, stride, 20, groups=groups))
            channels, out, groups = out, min(2 * out, most), 16
        layers.append(nn.Conv1d(channels, channels, 5, padding=2))
        layers.append(nn.Conv1d(channels, 1, 3, padding=1))
        super().__init__(0.1, [norm(layer) for layer in layers])


class PeriodDiscriminator(_Layers):
    """2-D convolutions on the waveform folded at a period (HiFi-GAN)."""

    def __init__(self, period: int, width: float) -> None:
        self_channels = [1, *(_scaled(c, width) for c in (32, 128, 512, 1024, 1024))]
        layers = [
            nn.Conv2d(a, b, (5, 1), (stride, 1), padding=(2, 0))
            for a, b, stride in zip(self_channels, self_channels[1:], (3, 3, 3, 3, 1), strict=False)
        ]
        layers.append(nn.Conv2d(self_channels[-1], 1, (3, 1), padding=(1, 0)))
        super().__init__(0.1, [weight_norm(layer) for layer in layers])
        self.period = period

    def forward(self, x: Tensor) -> Features:
        x = functional.pad(x, (0, -x.shape[-1] % self.period), "reflect")
        return super().forward(x.view(x.shape[0], 1, -1, self.period))


class SpectrogramDiscriminator(_Layers):
    """2-D convolutions on a magnitude spectrogram (UnivNet; Jang et al., 2021)."""

    window: Tensor

    def __init__(self, size: int, hop: int, window: int, width: float) -> None:
        channels = _scaled(32, width)
        shapes = [((3, 9), 1), ((3, 9), 2), ((3, 9), 2), ((3, 9), 2), ((3, 3), 1), ((3, 3), 1)]
        layers = [
            nn.Conv2d(
                1 if i == 0 else channels,
                1 if i == len(shapes) - 1 else channels,
                kernel,
                (1, stride),
                padding=(kernel[0] // 2, kernel[1] // 2),
            )
            for i, (kernel, stride) in enumerate(shapes)
        ]
        super().__init__(0.2, [weight_norm(layer) for layer in layers])
        self.size, self.hop = size, hop
        self.register_buffer("window", torch.hann_window(window), persistent=False)

    def forward(self, x: Tensor) -> Features:
        with torch.autocast(x.device.type, enabled=False):
            power = power_spectrum(x[:, 0].float(), self.size, self.hop, self.window)
            magnitude = (power + 1e-9).sqrt()
        return super().forward(magnitude[:, None])


class FrameDiscriminator(_Layers):
    """1-D convolutions over the frames of a compressed spectrum, its bins as channels.

    Ours: one matrix product a frame in place of images, since those of `SpectrogramDiscriminator`
    take several seconds a step on one CPU core. Magnitudes to the power 0.3 are close to loudness.
    It sees the lowest third of the spectrum: 8 kHz at 48, so that speech without a top is real too.
    """

    window: Tensor

    def __init__(self, size: int, width: float) -> None:
        channels = _scaled(256, width)
        bins = size // 6 + 1
        layers = [
            nn.Conv1d(bins, channels, 3, padding=1),
            nn.Conv1d(channels, channels, 3, padding=1),
            nn.Conv1d(channels, channels, 3, padding=2, dilation=2),
            nn.Conv1d(channels, channels, 3, padding=4, dilation=4),
            nn.Conv1d(channels, 1, 3, padding=1),
        ]
        super().__init__(0.2, [weight_norm(layer) for layer in layers])
        self.size, self.bins = size, bins
        self.register_buffer("window", torch.hann_window(size), persistent=False)

    def forward(self, x: Tensor) -> Features:
        with torch.autocast(x.device.type, enabled=False):
            power = power_spectrum(x[:, 0].float(), self.size, self.size // 4, self.window)
            power = power[..., : self.bins] / self.window.square().sum()
            loudness = (power + 1e-9).pow(0.15)
        return super().forward(loudness.transpose(1, 2))


class Discriminators(nn.Module):
    """Several discriminators side by side. Channels of a signal are seen as mono, one by one.

    Args:
        kinds: `multi_scale` (three, on the waveform and two halvings of it), `multi_period`
            (five), `multi_resolution` (three, on spectrograms), `multi_frame` (three, on the
            frames of compressed spectra).
        width: share of the published channel counts.
    """

    def __init__(self, kinds: tuple[str, ...], width: float) -> None:
        super().__init__()
        self.scales, self.others = nn.ModuleList(), nn.ModuleList()
        if "multi_scale" in kinds:
            norms = (spectral_norm, weight_norm, weight_norm)
            self.scales.extend(ScaleDiscriminator(width, norm) for norm in norms)
        if "multi_period" in kinds:
            self.others.extend(PeriodDiscriminator(period, width) for period in PERIODS)
        if "multi_resolution" in kinds:
            self.others.extend(SpectrogramDiscriminator(*s, width) for s in STFTS)
        if "multi_frame" in kinds:
            self.others.extend(FrameDiscriminator(size, width) for size in FRAME_SAMPLES)

    def forward(self, x: Tensor) -> list[Features]:
        """Compute the feature maps of each discriminator for [batch, channels, samples]."""
        return list(self._run(x.reshape(-1, 1, x.shape[-1])))

    def _run(self, x: Tensor) -> Iterator[Features]:
        for discriminator in self.others:
            yield discriminator(x)
        for discriminator in self.scales:
            yield discriminator(x)
            x = functional.avg_pool1d(x, 4, 2, 2)


def _scaled(channels: int, width: float) -> int:
    """Channels at a share of the published width; a multiple of 16 where groups may need it."""
    unit = 16 if channels >= 64 else 1
    return max(1, round(channels * width / unit)) * unit
