"""Perturbations: what they change, and what they leave."""

from __future__ import annotations

import numpy as np
import pytest

from audiodec.training.perturbation import (
    coloured_noise,
    draw,
    equalize,
    extend,
    lowpass,
    room,
    warp_formants,
)
from audiodec.training.recipe import Perturbation

RATE = 48000
ALL = Perturbation(
    formants_probability=1, equalizer_probability=1, room_probability=1, noise_probability=1,
    extension_probability=1,
)  # fmt: skip


@pytest.fixture
def vowel() -> np.ndarray:
    """Half a second of pulses at 120 Hz through one resonance at 1500 Hz, [1, samples]."""
    time = np.arange(0, 0.02, 1 / RATE)
    resonance = np.exp(-1000 * time) * np.sin(2 * np.pi * 1500 * time)
    pulses = np.zeros(RATE // 2)
    pulses[:: RATE // 120] = 1
    return np.convolve(pulses, resonance)[None, : len(pulses)].astype(np.float32)


def spectrum(samples: np.ndarray) -> np.ndarray:
    """Magnitudes, 2 Hz apart."""
    return np.abs(np.fft.rfft(samples[0] * np.hanning(samples.shape[1])))


@pytest.mark.parametrize("factor", [0.85, 1.18])
def test_formants_move_and_the_pitch_stays(vowel: np.ndarray, factor: float) -> None:
    before, after = spectrum(vowel), spectrum(warp_formants(vowel, factor, RATE, 20000))
    smooth = np.ones(120) / 120  # 240 Hz: wider than the pitch
    peak = 2 * np.convolve(after, smooth, "same").argmax()
    assert abs(peak - 1500 * factor) < 120
    harmonics = np.arange(1, 30) * 60  # bins
    assert after[harmonics].sum() > 10 * after[harmonics + 30].sum()
    assert before[harmonics].sum() > 10 * before[harmonics + 30].sum()


def test_no_warp_changes_nothing(vowel: np.ndarray) -> None:
    assert np.abs(warp_formants(vowel, 1.0, RATE, 20000) - vowel).max() < 1e-5


def test_equaliser_meets_its_knots() -> None:
    noise = np.random.default_rng(0).normal(size=(1, RATE)).astype(np.float32)
    shaped = equalize(noise, np.array([-6.0, 0, 6]), RATE)
    ratio = 20 * np.log10(np.abs(np.fft.rfft(shaped[0])) / np.abs(np.fft.rfft(noise[0])))
    middle = round(np.sqrt(60 * 24000))  # Hz: half-way in octaves
    assert abs(ratio[60] + 6) < 0.1
    assert abs(ratio[middle]) < 0.1
    assert abs(ratio[23999] - 6) < 0.1


def test_noise_has_the_wanted_level(vowel: np.ndarray) -> None:
    for tilt in (0.0, 1.0):
        noise = coloured_noise(vowel, tilt, 20, np.random.default_rng(0))
        assert abs(10 * np.log10(np.mean(vowel**2) / np.mean(noise**2)) - 20) < 0.1


def test_a_room_has_unit_energy_and_decays() -> None:
    response = room(0.4, RATE, np.random.default_rng(0))
    assert abs(np.sum(response**2) - 1) < 1e-3
    early, late = response[:2400], response[9600:12000]  # 0.2 s apart: 30 dB
    assert abs(10 * np.log10(np.mean(early**2) / np.mean(late**2)) - 30) < 2


def test_a_draw_keeps_level_and_length_and_can_be_repeated(vowel: np.ndarray) -> None:
    first, second = (draw(ALL, RATE, 20000, np.random.default_rng(3))[0] for _ in range(2))
    out = first(vowel)
    assert out.shape == vowel.shape
    assert out.dtype == np.float32
    assert np.array_equal(out, second(vowel))
    assert not np.array_equal(out, draw(ALL, RATE, 20000, np.random.default_rng(4))[0](vowel))
    assert abs(np.mean(out**2) / np.mean(vowel**2) - 1) < 1e-3


def test_nothing_is_drawn_unless_asked_for(vowel: np.ndarray) -> None:
    """Recipes without perturbations keep their random numbers."""
    random = np.random.default_rng(0)
    perturb, bandwidth = draw(Perturbation(), RATE, 20000, random)
    assert perturb(vowel) is vowel
    assert bandwidth == 20000
    assert random.random() == np.random.default_rng(0).random()


def test_what_is_band_limited_is_extended_and_believed_to_the_top(vowel: np.ndarray) -> None:
    random = np.random.default_rng(0)
    burst = np.concatenate([random.normal(0, 0.1, (1, 12000)), np.zeros((1, 12000))], axis=1)
    speech = lowpass(burst.astype(np.float32), 8000, RATE)
    extended = extend(speech, 8000, RATE, np.random.default_rng(1))
    below, top = (
        np.abs(np.fft.rfft(np.stack([speech[0], extended[0]])))[:, low // 2 : high // 2]
        for low, high in ((0, 7600), (9000, 24000))
    )
    assert np.allclose(below[0], below[1], rtol=1e-3, atol=1e-3)
    assert top[1].mean() > 20 * top[0].mean()
    assert top[1].mean() < below[0].mean()  # it falls
    noise = extended - lowpass(extended, 8000, RATE)
    after = np.abs(noise[:, 12500:23000]).max()
    assert after < 0.01 * np.abs(noise).max()  # it follows what lies below
    only = Perturbation(extension_probability=1)
    assert draw(only, RATE, 8000, random)[1] == RATE / 2
    perturb, bandwidth = draw(only, RATE, RATE / 2, random)
    assert perturb(vowel) is vowel
    assert bandwidth == RATE / 2
