"""Metrics against published and analytic answers, alignment, and the picture."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from audiodec.errors import ConfigError, MissingExtraError
from audiodec.evaluation.metrics import (
    ALL_METRICS,
    METRICS,
    MissingPackageError,
    align,
    estoi,
    f0_rmse,
    log_spectral_distance,
    markdown_table,
    mel_cepstral_distortion,
    mel_distance,
    pesq_wb,
    plcmos,
    score,
    si_sdr,
    snr,
    stoi,
    visqol_audio,
    visqol_speech,
    voicing_error,
    word_error_rate,
)
from audiodec.evaluation.picture import spectrogram

VISQOL = Path(__file__).parents[2] / "shared" / "eval" / "visqol"


def test_perfect_copies_score_perfectly(speech: np.ndarray) -> None:
    assert pesq_wb(speech, speech, 48000) == pytest.approx(4.644, abs=0.001)
    assert estoi(speech, speech, 48000) == pytest.approx(1, abs=1e-4)
    assert mel_distance(speech, speech, 48000) == 0
    assert snr(speech, speech, 48000) > 100
    assert visqol_audio(speech, speech, 48000) > 4.7


def test_snr_of_known_noise(speech: np.ndarray) -> None:
    noisy = speech + _noise_like(speech, 15)
    assert snr(speech, noisy, 48000) == pytest.approx(15, abs=0.01)


@pytest.mark.skipif(not VISQOL.exists(), reason="../shared is not here")
@pytest.mark.parametrize(
    ("reference", "degraded", "expected"),
    [
        ("guitar48_stereo.flac", "guitar48_stereo_64kbps_aac.flac", 4.349722),
        ("steely48_stereo.flac", "steely48_stereo_lp7.flac", 2.250168),
    ],
)
def test_visqol_audio_conformance(reference: str, degraded: str, expected: float) -> None:
    a, b = (soundfile.read(VISQOL / n, dtype="float32")[0].mean(1) for n in (reference, degraded))
    assert visqol_audio(a, b, 48000) == pytest.approx(expected, abs=0.005)


@pytest.mark.skipif(not VISQOL.exists(), reason="../shared is not here")
def test_visqol_speech_conformance() -> None:
    a, b = (
        soundfile.read(VISQOL / n, dtype="float32")[0]
        for n in ("CA01_01.wav", "transcoded_CA01_01.wav")
    )
    assert visqol_speech(a, b, 48000) == pytest.approx(3.3745, abs=0.01)


@pytest.mark.parametrize("delay", [-700, 0, 312])
def test_alignment_finds_the_lag(speech: np.ndarray, delay: int) -> None:
    moved = np.roll(speech, delay) if delay else speech
    a, b, lag = align(speech, moved, 48000)
    assert lag == delay
    assert snr(a[1000:-1000], b[1000:-1000], 48000) > 60


def test_a_clip_beyond_a_metric_is_none_and_not_an_error() -> None:
    silence = np.zeros(48000, np.float32)
    assert score(silence, silence, 48000, ("PESQ-WB",)) == {"PESQ-WB": None}


def _marked(name: str, *slow: str) -> Any:
    """A metric as a parameter; those whose packages no extra installs may be missing."""
    optional = [pytest.mark.optional] if ALL_METRICS[name].install == "by hand" else []
    return pytest.param(name, marks=[*optional, *([pytest.mark.slow] if name in slow else [])])


@pytest.mark.parametrize("name", [_marked(name, "WER", "CER") for name in ALL_METRICS])
def test_noise_is_worse_and_values_keep_their_range(speech: np.ndarray, name: str) -> None:
    metric, rate = ALL_METRICS[name], 48000
    noisy = speech + _noise_like(speech, -5)
    try:
        perfect, bad = (metric(speech, x, rate) for x in (speech, noisy))
    except (MissingExtraError, MissingPackageError) as error:
        pytest.skip(str(error))
    assert bad < perfect if metric.higher_is_better else bad > perfect
    for value in (perfect, bad):
        assert metric.low is None or value >= metric.low - 1e-6
        assert metric.high is None or value <= metric.high + 1e-6
    if not metric.needs_reference:
        assert metric(np.zeros_like(speech), speech, rate) == perfect


def _noise_like(speech: np.ndarray, decibels: float) -> np.ndarray:
    """White noise that far below the speech."""
    noise = np.random.default_rng(0).normal(size=len(speech))
    noise *= np.sqrt((speech**2).sum() / (noise**2).sum()) * 10 ** (-decibels / 20)
    return noise.astype(np.float32)


def test_published_examples() -> None:
    """The values in the documentation of torchmetrics 1.9, from the same packages."""
    torch.manual_seed(42)
    degraded, reference = torch.randn(8000).numpy(), torch.randn(8000).numpy()
    assert pesq_wb(reference, degraded, 16000) == pytest.approx(1.6805, abs=1e-4)
    assert stoi(reference, degraded, 8000) == pytest.approx(-0.084, abs=5e-4)
    a, b = np.float32([3.0, -0.5, 2.0, 7.0]), np.float32([2.5, 0.0, 2.0, 8.0])
    assert si_sdr(a, b, 1) == pytest.approx(18.4030, abs=1e-4)


def test_a_gain_is_a_known_log_spectral_distance_and_no_cepstral_one() -> None:
    noise = _white_noise()
    assert log_spectral_distance(noise, noise / 2, 48000) == pytest.approx(2 * np.log10(2))
    assert mel_cepstral_distortion(noise, noise / 2, 48000) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("order", "step"), [(1, 0.5), (2, 0.5), (2, 1.0), (3, 0.2)])
def test_a_known_step_of_one_cepstral_coefficient(order: int, step: float) -> None:
    """A filter whose log amplitude is a cosine on the mel axis moves one coefficient."""
    noise = _white_noise()
    frequency = np.fft.rfftfreq(len(noise), 1 / 48000)
    place = np.pi * np.log10(1 + frequency / 700) / np.log10(1 + 24000 / 700)
    spectrum = np.fft.rfft(noise) * np.exp(step * np.cos(order * place))
    filtered = np.fft.irfft(spectrum).astype(np.float32)
    expected = 10 / np.log(10) * np.sqrt(2) * step
    assert mel_cepstral_distortion(noise, filtered, 48000) == pytest.approx(expected, rel=0.015)


def _white_noise() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, 96000).astype(np.float32)


@pytest.mark.parametrize(("low", "high"), [(120, 130), (200, 225)])
def test_a_known_shift_of_pitch(low: float, high: float) -> None:
    assert f0_rmse(_voice(low), _voice(high), 48000) == pytest.approx(high - low, rel=0.05)


def test_voicing_error_is_the_share_of_frames_that_lost_their_voice() -> None:
    voiced = _voice(120)
    half = np.where(np.arange(len(voiced)) < len(voiced) // 2, voiced, 0).astype(np.float32)
    assert voicing_error(voiced, half, 48000) == pytest.approx(50, abs=2)
    assert f0_rmse(voiced, half, 48000) < 0.5  # only where both are voiced
    silence = np.zeros_like(voiced)
    assert score(voiced, silence, 48000, ["F0-RMSE"]) == {"F0-RMSE": None}


def _voice(pitch: float) -> np.ndarray:
    """Two seconds of harmonics that fall by 6 dB an octave, at 48 kHz."""
    time = np.arange(96000) / 48000
    partials = [np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 20)]
    return (0.05 * np.sum(partials, axis=0)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.optional
def test_words_that_are_cut_off_are_errors(speech: np.ndarray) -> None:
    """The clip says: the birch canoe slid on the smooth planks (Harvard sentences, 1.1)."""
    half = np.where(np.arange(len(speech)) < len(speech) // 2, speech, 0).astype(np.float32)
    try:
        errors = word_error_rate(speech, half, 48000)
    except (MissingExtraError, MissingPackageError) as error:
        pytest.skip(str(error))
    assert errors * 8 / 100 == pytest.approx(round(errors * 8 / 100))  # eight words are heard
    assert 2 <= round(errors * 8 / 100) <= 6


def test_plcmos_is_repeatable_and_leaves_the_global_generator_alone(speech: np.ndarray) -> None:
    pytest.importorskip("speechmos")
    np.random.seed(7)
    expected = np.random.normal()
    np.random.seed(7)
    assert plcmos(speech, speech, 48000) == plcmos(speech, speech, 48000)
    assert np.random.normal() == expected


@pytest.mark.parametrize("name", [_marked(name) for name in ALL_METRICS])
def test_silence_and_clips_too_short_are_scored_or_left_out(name: str) -> None:
    for clip in (np.zeros(48000, np.float32), np.ones(100, np.float32) / 2):
        try:
            value = score(clip, clip, 48000, [name])[name]
        except (MissingExtraError, MissingPackageError) as error:
            pytest.skip(str(error))
        assert value is None or np.isfinite(value)


def test_missing_packages_and_unknown_names_are_said_plainly(
    speech: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="no metric 'POLQA'; choose from PESQ-WB"):
        score(speech, speech, 48000, ["POLQA"])
    monkeypatch.setitem(sys.modules, "pystoi", None)
    with pytest.raises(MissingExtraError, match=r"STOI .*\.\[bench\]"):
        score(speech, speech, 48000, ["STOI"])
    monkeypatch.setitem(sys.modules, "resemblyzer", None)
    with pytest.raises(MissingPackageError, match="pip install --no-deps resemblyzer"):
        score(speech, speech, 48000, ["speaker similarity"])


def test_the_documentation_lists_every_metric() -> None:
    page = (Path(__file__).parents[1] / "docs" / "metrics.md").read_text()
    assert markdown_table() in page
    assert list(ALL_METRICS)[: len(METRICS)] == list(METRICS)


def test_spectrogram_shows_a_tone_where_it_is() -> None:
    tone = np.sin(2 * np.pi * 6000 * np.arange(48000) / 48000).astype(np.float32)
    picture = spectrogram(tone, 100, 240).astype(int).sum(axis=2)
    brightest = picture[:, 50].argmax()
    assert abs(brightest - 240 * (1 - 6000 / 24000)) < 4


def test_half_a_second_is_too_short_for_visqol_and_no_error(speech: np.ndarray) -> None:
    clip = speech[:24000]
    for name in ("ViSQOL-speech", "ViSQOL-audio"):
        value = score(clip, clip, 48000, [name])[name]
        assert value is None or 1 <= value <= 5
