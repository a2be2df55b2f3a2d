"""Metric losses on waveforms. Every loss ignores what lies above an item's true bandwidth."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from audiodec.dsp import mel_filters
from audiodec.training.published_losses import power_spectrum

MEL_BANDS = {128: 10, 256: 20, 512: 40, 1024: 80, 2048: 120, 4096: 160}  # window: mel bands
COMPRESSION = 0.3  # exponent of compressed spectra: close to loudness
COMPLEX_BELOW_HZ = 5_000  # Hz; phase above it is inaudible, and the default decoder has noise there
EXCESS = 2.0  # energy the original lacks costs more: it is heard as noise
LEVEL_WINDOW_SAMPLES = 2048  # samples, 43 ms at 48 kHz: the level of a noise is steady to 1 or 2 dB
LEVEL_BANDS = 60  # 70 Hz apart at 500 Hz, 500 Hz at 8 kHz
LEVEL_ABOVE_HZ = 200  # Hz; below it bands are narrower than the window's main lobe, 94 Hz
LEVEL_FLOOR = 1e-4  # of the loudest band of a frame, in power; less is masked


class SpectralLoss(nn.Module):
    """Log-mel, compressed complex and compressed magnitude distance at one resolution.

    The compressed distances are weighted over frequency by (1 + f / 400 Hz)^-1.5 and taken below
    5 kHz on windows of 512 samples and more; the mel distance covers the whole band.
    """

    window: Tensor
    mel: Tensor
    mel_top: Tensor
    frequency: Tensor
    weight: Tensor

    def __init__(self, size: int, sample_rate: int) -> None:
        super().__init__()
        self.size, self.hop = size, size // (2 if size <= 512 else 4)
        window = torch.hann_window(size)
        mel, top = _filters(size, MEL_BANDS[size], sample_rate)
        bins = int(size * min(COMPLEX_BELOW_HZ / sample_rate, 0.5)) + 1
        frequency = torch.arange(bins) * sample_rate / size
        weight = (1 + frequency / 400) ** -1.5
        weight[0] *= 0.5
        self.norm = float(window.square().sum().sqrt())
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("mel", mel, persistent=False)
        self.register_buffer("mel_top", top, persistent=False)
        self.register_buffer("frequency", frequency, persistent=False)
        self.register_buffer("weight", weight / weight.sum(), persistent=False)

    def forward(self, output: Tensor, target: Tensor, bandwidth: Tensor) -> dict[str, Tensor]:
        """Compute losses by name: `mel`, and `complex` and `magnitude` for windows of 512 or more.

        Args:
            output, target: waveforms, [batch, samples].
            bandwidth: Hz up to which each target is to be believed, [batch].
        """
        a, a_power = self._spectrum(output)
        with torch.no_grad():
            b, b_power = self._spectrum(target)
            believed = (self.mel_top <= bandwidth[:, None]).float()
            believed[:, 0] = 1
            believed = believed / believed.mean(1, keepdim=True)
        difference = (self._log_mel(a_power) - self._log_mel(b_power)).abs()
        losses = {"mel": (difference * believed[:, None]).mean()}
        if self.size >= 512:
            weight = (self.weight * (self.frequency <= bandwidth[:, None]))[:, None]
            a, a_magnitude = self._compress(a, a_power)
            with torch.no_grad():
                b, b_magnitude = self._compress(b, b_power)
            distance = ((a - b).square().sum(-1) + 1e-5).sqrt()
            excess = a_magnitude - b_magnitude
            excess = torch.where(excess > 0, EXCESS * excess, -excess)
            losses["complex"] = (distance * weight).sum(-1).mean()
            losses["magnitude"] = (excess * weight).sum(-1).mean()
        return losses

    def _spectrum(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[batch, samples] -> real and imaginary [batch, frames, bins, 2], power."""
        spectrum = torch.stft(x, self.size, self.hop, self.size, self.window, return_complex=True)
        parts = torch.view_as_real(spectrum.transpose(1, 2))
        return parts, parts.square().sum(-1)

    def _log_mel(self, power: Tensor) -> Tensor:
        return ((power + 1e-9).sqrt() @ self.mel).clamp_min(1e-5).log10()

    def _compress(self, parts: Tensor, power: Tensor) -> tuple[Tensor, Tensor]:
        bins = len(self.weight)
        power = power[..., :bins] / self.norm**2 + 1e-9
        gain = power.pow((COMPRESSION - 1) / 2) / self.norm
        return parts[..., :bins, :] * gain[..., None], power.pow(COMPRESSION / 2)


class LevelLoss(nn.Module):
    """Distance of band levels over windows so long that noises with one envelope agree.

    What is noisy in speech is heard as its envelope. The short windows of `SpectralLoss` see two
    noises differ by 6 dB a bin whatever their envelopes, and their gradient drowns in it. Where
    the waveform is followed, levels are what a listener notices of its error.
    """

    window: Tensor
    bands: Tensor
    top: Tensor
    kept: Tensor

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        bands, top = _filters(LEVEL_WINDOW_SAMPLES, LEVEL_BANDS, sample_rate)
        kept = top >= LEVEL_ABOVE_HZ
        self.register_buffer("window", torch.hann_window(LEVEL_WINDOW_SAMPLES), persistent=False)
        self.register_buffer("bands", bands, persistent=False)
        self.register_buffer("top", top, persistent=False)
        self.register_buffer("kept", kept, persistent=False)

    def forward(self, output: Tensor, target: Tensor, bandwidth: Tensor) -> Tensor:
        """Compute the mean difference in bel.

        Args:
            output, target: waveforms, [batch, samples].
            bandwidth: Hz up to which each target is to be believed, [batch].
        """
        a, b = self._power(output), self._power(target)
        floor = LEVEL_FLOOR * b.amax(2, keepdim=True) + 1e-9
        believed = ((self.top <= bandwidth[:, None]) & self.kept).float()
        share = believed / believed.sum(1, keepdim=True).clamp_min(1)
        difference = ((a + floor).log10() - (b + floor).log10()).abs()
        return (difference * share[:, None]).sum(2).mean()

    def _power(self, x: Tensor) -> Tensor:
        """[batch, samples] -> [batch, frames, bands]."""
        size = LEVEL_WINDOW_SAMPLES
        return power_spectrum(x, size, size // 4, self.window) @ self.bands


def _filters(size: int, bands: int, sample_rate: int) -> tuple[Tensor, Tensor]:
    """`dsp.mel_filters` as tensors, float32."""
    filters, top = mel_filters(size, bands, sample_rate)
    return torch.from_numpy(filters).float(), torch.from_numpy(top).float()
