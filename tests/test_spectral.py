"""The default network's ends: what its features leave out, and where its noise lies."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audiodec.config import CodecConfig, SpectralDecoderConfig, SpectralEncoderConfig
from audiodec.nn.dct import dct_matrix, even_bands
from audiodec.nn.network import make_decoder, make_encoder


def test_an_offset_is_taken_off_once_its_frames_are_full(speech: np.ndarray) -> None:
    torch.manual_seed(0)
    config = CodecConfig(encoder=SpectralEncoderConfig(offset_frames=8))
    encoder = make_encoder(config).eval()
    audio = torch.from_numpy(speech[: 320 * 100])[None, None]
    with torch.no_grad():
        plain, shifted = (encoder.features(x) for x in (audio, audio + 0.1))
    assert torch.allclose(plain[:, 9:], shifted[:, 9:], atol=2e-3)
    assert (plain[:, :4] - shifted[:, :4]).abs().max() > 0.1
    without = make_encoder(CodecConfig(encoder=SpectralEncoderConfig())).eval()
    assert (without.features(audio)[:, 9:] - without.features(audio + 0.1)[:, 9:]).abs().max() > 0.1


def test_an_offset_leaves_speech_alone(speech: np.ndarray) -> None:
    audio = torch.from_numpy(speech[: 320 * 100])[None, None]
    with_it, without = (
        make_encoder(CodecConfig(encoder=SpectralEncoderConfig(offset_frames=n))).features(audio)
        for n in (16, 0)
    )
    assert (with_it - without).square().mean() < 0.01 * without.square().mean()


@pytest.mark.parametrize("width", [500.0, 1000.0, 5000.0])
def test_even_bands_divide_the_top(width: float) -> None:
    spread = even_bands(384, 5000, 24000, width)
    assert len(spread) == len(np.arange(5000 + width / 2, 24000, width))
    frequency = (torch.arange(384) + 0.5) / 384 * 24000
    assert torch.allclose(spread.sum(0), (frequency >= 5000).float(), atol=1e-6)
    peaks = frequency[spread.argmax(1)]
    assert (peaks[1:] - peaks[:-1]).mean() == pytest.approx(width, rel=0.2)


def test_noise_can_sound_in_one_of_its_bands() -> None:
    torch.manual_seed(0)
    config = CodecConfig(decoder=SpectralDecoderConfig(noise_width=1000.0))
    decoder = make_decoder(config).eval()
    head, size = decoder.head, config.hop + config.decoder.overlap  # type: ignore[union-attr]
    with torch.no_grad():
        head.gain.weight.zero_()
        head.gain.bias.fill_(-12.0)
        head.noise_gain.weight.zero_()
        head.noise_gain.bias.fill_(-12.0)
        head.noise_gain.bias[10] = 0.0  # 15 to 16 kHz
        sound = decoder(torch.randn(1, config.quantizer.dim, 50))[0, 0]
        frames = sound[: 320 * 48].unfold(0, size, 320)
        power = (frames @ dct_matrix(size).t()).square().mean(0)
    frequency = (torch.arange(size) + 0.5) / size * 24000
    inside = (frequency > 14000) & (frequency < 17000)
    assert power[inside].sum() > 0.95 * power.sum()
