"""Metrics against known answers, alignment, and the picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiodec.evaluation.metrics import (
    align,
    estoi,
    mel_distance,
    pesq_wb,
    score,
    snr,
    visqol_audio,
    visqol_speech,
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
    noise = np.random.default_rng(0).normal(size=len(speech))
    noise *= np.sqrt((speech**2).sum() / (noise**2).sum()) * 10 ** (-15 / 20)
    assert snr(speech, (speech + noise).astype(np.float32), 48000) == pytest.approx(15, abs=0.01)


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


def test_spectrogram_shows_a_tone_where_it_is() -> None:
    tone = np.sin(2 * np.pi * 6000 * np.arange(48000) / 48000).astype(np.float32)
    picture = spectrogram(tone, 100, 240).astype(int).sum(axis=2)
    brightest = picture[:, 50].argmax()
    assert abs(brightest - 240 * (1 - 6000 / 24000)) < 4
