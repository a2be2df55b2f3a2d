"""The published systems' metric losses, as in Parallel WaveGAN (Yamamoto et al., 2020), HiFi-GAN
(Kong et al., 2020) and AudioDec (Wu et al., 2023). Waveforms are [batch, samples]."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from audiodec.dsp import mel_filters

STFTS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))  # size, hop, window
SHAPE_WINDOW_SAMPLES = 300


class LogMelLoss(nn.Module):
    """L1 distance of natural-log mel spectra: 80 Slaney bands, window 2048, hop 300."""

    window: Tensor
    filters: Tensor

    size, hop, bands = 2048, 300, 80

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(self.size), persistent=False)
        filters, _ = mel_filters(self.size, self.bands, sample_rate, "slaney")
        self.register_buffer("filters", torch.from_numpy(filters).float(), persistent=False)

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
        """Compute spectral convergence (a ratio of Frobenius norms) and log-magnitude distance."""
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
    """Compute the L1 distance of waveform envelopes: the largest magnitude in windows of 300
    samples."""
    a, b = (functional.max_pool1d(x.abs(), SHAPE_WINDOW_SAMPLES) for x in (output, target))
    return functional.l1_loss(a, b)


def power_spectrum(x: Tensor, size: int, hop: int, window: Tensor) -> Tensor:
    """Compute the power spectrum: [batch, samples] -> [batch, frames, bins]."""
    spectrum = torch.stft(x, size, hop, len(window), window, return_complex=True)
    return torch.view_as_real(spectrum.transpose(1, 2)).square().sum(-1)
