"""The published systems' metric losses, as in Parallel WaveGAN (Yamamoto et al., 2020), HiFi-GAN
(Kong et al., 2020) and AudioDec (Wu et al., 2023). Waveforms are [batch, samples]."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

STFTS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))  # size, hop, window
SHAPE_WINDOW = 300  # samples


class LogMelLoss(nn.Module):
    """L1 distance of natural-log mel spectra: 80 Slaney bands, window 2048, hop 300."""

    window: Tensor
    filters: Tensor

    size, hop, bands = 2048, 300, 80

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(self.size), persistent=False)
        filters = slaney_filters(self.size, self.bands, sample_rate)
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return functional.l1_loss(self._log_mel(output), self._log_mel(target))

    def _log_mel(self, x: Tensor) -> Tensor:
        power = power_spectrum(x, self.size, self.hop, self.window)
        return (power.clamp_min(1e-10).sqrt() @ self.filters).clamp_min(1e-10).log()


class StftLoss(nn.Module):
    """Spectral convergence plus L1 of natural-log magnitudes, the mean over three resolutions."""

    def __init__(self) -> None:
        super().__init__()
        for i, (_, _, window) in enumerate(STFTS):
            self.register_buffer(f"window_{i}", torch.hann_window(window), persistent=False)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        convergence, magnitude = self.terms(output, target)
        return convergence + magnitude

    def terms(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Spectral convergence (a ratio of Frobenius norms) and log-magnitude distance."""
        convergence, magnitude = [], []
        for i, (size, hop, _) in enumerate(STFTS):
            window = self.get_buffer(f"window_{i}")
            a, b = (
                power_spectrum(x, size, hop, window).clamp_min(1e-7).sqrt()
                for x in (output, target)
            )
            # Per item, so that it does not depend on how a batch is shared among processes.
            convergence.append(((b - a).norm(dim=(1, 2)) / b.norm(dim=(1, 2))).mean())
            magnitude.append(functional.l1_loss(a.log(), b.log()))
        return torch.stack(convergence).mean(), torch.stack(magnitude).mean()


def shape_loss(output: Tensor, target: Tensor) -> Tensor:
    """L1 distance of waveform envelopes: the largest magnitude in windows of 300 samples."""
    a, b = (functional.max_pool1d(x.abs(), SHAPE_WINDOW) for x in (output, target))
    return functional.l1_loss(a, b)


def power_spectrum(x: Tensor, size: int, hop: int, window: Tensor) -> Tensor:
    """[batch, samples] -> [batch, frames, bins]."""
    spectrum = torch.stft(x, size, hop, len(window), window, return_complex=True)
    return torch.view_as_real(spectrum.transpose(1, 2)).square().sum(-1)


def slaney_filters(size: int, bands: int, sample_rate: int) -> Tensor:
    """Mel triangles of equal area, [bins, bands]: linear below 1 kHz, logarithmic above.

    Slaney, "Auditory Toolbox", 1998; librosa's default.
    """
    step, knee, growth = 200 / 3, 15.0, math.log(6.4) / 27  # Hz per mel, mel at 1 kHz

    top = knee + math.log(sample_rate / 2 / 1000) / growth
    mel = torch.linspace(0, top, bands + 2, dtype=torch.float64)
    edges = torch.where(mel < knee, mel * step, 1000 * torch.exp(growth * (mel - knee)))
    frequency = torch.linspace(0, sample_rate / 2, size // 2 + 1, dtype=torch.float64)[:, None]
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rise, fall = (frequency - low) / (centre - low), (high - frequency) / (high - centre)
    filters = torch.minimum(rise, fall).clamp_min(0) * 2 / (high - low)
    return filters.float()
