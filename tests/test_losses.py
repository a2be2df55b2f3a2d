"""The metric losses of our own recipe: what they hear and what they do not."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from audiodec.training.losses import LevelLoss  # noqa: E402

RATE = 48000


def noise(seed: int, low: float = 0, high: float = RATE / 2) -> torch.Tensor:
    """Half a second of white noise between two frequencies, two items."""
    random = torch.Generator().manual_seed(seed)
    spectrum = torch.fft.rfft(0.1 * torch.randn(2, RATE // 2, generator=random))
    frequency = torch.fft.rfftfreq(RATE // 2, 1 / RATE)
    return torch.fft.irfft(spectrum * ((frequency >= low) & (frequency < high)))


def level(output: torch.Tensor, target: torch.Tensor, bandwidth: float = RATE / 2) -> float:
    return float(LevelLoss(RATE)(output, target, torch.full((len(output),), bandwidth)))


def test_noises_of_one_envelope_are_close_and_louder_ones_are_not() -> None:
    assert level(noise(0), noise(0)) == 0
    assert level(noise(1), noise(0)) < 0.2  # in such bands a noise wavers by nearly 2 dB
    assert level(2 * noise(1), noise(0)) == pytest.approx(0.6, abs=0.03)  # 6 dB
    assert level(0.5 * noise(1), noise(0)) == pytest.approx(0.6, abs=0.03)


def test_levels_count_between_200_hz_and_what_is_believed() -> None:
    target = noise(0)
    assert level(target + noise(1, high=100), target) < 0.01
    assert level(target + noise(1, 1000, 3000), target) > 0.05
    assert level(target + noise(1, low=13000), target, bandwidth=12000) < 0.01
    assert level(target + noise(1, low=13000), target) > 0.04
    assert level(target + noise(1, 6000, 11000), target, bandwidth=12000) > 0.05


def test_what_is_masked_does_not_count() -> None:
    loud = noise(0, high=8000)
    assert level(loud + 1e-4 * noise(1, low=9000), loud) < 0.01


def test_levels_teach_an_envelope() -> None:
    gain = torch.zeros(2, requires_grad=True)  # of noise below and above 10 kHz
    optimizer = torch.optim.Adam([gain], 0.05)
    target = 3 * noise(0, high=10000) + 0.2 * noise(0, low=10000)
    for step in range(60):
        low, high = noise(step + 1, high=10000), noise(step + 1, low=10000)
        output = gain[0].exp() * low + gain[1].exp() * high
        loss = LevelLoss(RATE)(output, target, torch.full((2,), RATE / 2))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert gain.exp().tolist() == pytest.approx([3, 0.2], rel=0.15)
