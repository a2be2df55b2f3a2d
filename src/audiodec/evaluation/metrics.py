"""Objective metrics on a pair of waveforms. Each says its range, direction and source.

All take a reference and a degraded signal of the same length, float32 in [-1, 1], and the
sample rate in Hz. The codec adds no delay inside its output, but peers do: `align` first.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from audiodec.errors import AudioError, MissingExtraError

Samples = NDArray[np.float32]
Metric = Callable[[Samples, Samples, int], float]


def align(reference: Samples, degraded: Samples, rate: int) -> tuple[Samples, Samples, int]:
    """Shift by the lag (up to 0.2 s) of highest cross-correlation and cut to the overlap.

    Returns:
        both signals, and the lag in samples (positive: the degraded one is late).
    """
    size = 1 << (len(reference) + len(degraded) - 1).bit_length()
    spectrum = np.fft.rfft(degraded, size) * np.conj(np.fft.rfft(reference, size))
    correlation = np.fft.irfft(spectrum, size)
    reach = min(int(0.2 * rate), len(reference) - 1)
    lags = np.arange(-reach, reach + 1)
    lag = int(lags[np.argmax(correlation[lags])])
    if lag > 0:
        degraded = degraded[lag:]
    else:
        reference = reference[-lag:]
    length = min(len(reference), len(degraded))
    return reference[:length], degraded[:length], lag


def snr(reference: Samples, degraded: Samples, rate: int) -> float:
    """Signal-to-noise ratio in dB; higher is better."""
    noise = float(np.square(reference - degraded, dtype=np.float64).sum())
    signal = float(np.square(reference, dtype=np.float64).sum())
    return 10 * float(np.log10(max(signal, 1e-12) / max(noise, 1e-12)))


def mel_distance(reference: Samples, degraded: Samples, rate: int) -> float:
    """Mean |difference| of log10 mel magnitudes, 0 and up, lower is better.

    Hann window of 2048, hop 512, 120 HTK-mel triangles from 0 to half the rate, floor 1e-5.
    """
    mel = _mel_filters(rate)
    window = np.hanning(2049)[:-1]

    def log_mel(x: Samples) -> NDArray[np.float64]:
        frames = np.lib.stride_tricks.sliding_window_view(np.pad(x, 1024), 2048)[::512]
        return np.log10(np.maximum(np.abs(np.fft.rfft(frames * window)) @ mel, 1e-5))

    return float(np.abs(log_mel(reference) - log_mel(degraded)).mean())


@functools.cache
def _mel_filters(rate: int, size: int = 2048, bands: int = 120) -> NDArray[np.float64]:
    edges = 700 * (10 ** (np.linspace(0, np.log10(1 + rate / 1400), bands + 2)) - 1)
    frequency = np.linspace(0, rate / 2, size // 2 + 1)[:, None]
    rise = (frequency - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - frequency) / (edges[2:] - edges[1:-1])
    filters = np.maximum(np.minimum(rise, fall), 0)
    # A band narrower than a bin takes its nearest bin.
    empty = filters.sum(0) == 0
    filters[np.abs(frequency - edges[1:-1]).argmin(0)[empty], np.flatnonzero(empty)] = 1
    return np.asarray(filters)


def pesq_wb(reference: Samples, degraded: Samples, rate: int) -> float:
    """Wideband PESQ, about 1.0 to 4.64, higher is better (ITU-T P.862.2; package pesq).

    Raises:
        AudioError: the reference holds no speech that PESQ can find.
    """
    pesq = _need("pesq")
    a, b = (soxr.resample(x, rate, 16000) for x in (reference, degraded))
    try:
        return float(pesq.pesq(16000, a, b, "wb"))
    except pesq.PesqError as error:
        raise AudioError(f"PESQ cannot score this clip: {error}") from None


def estoi(reference: Samples, degraded: Samples, rate: int) -> float:
    """Extended short-time objective intelligibility, 0 to 1, higher is better.

    Jensen and Taal, 2016; package pystoi.
    """
    pystoi = _need("pystoi")
    return float(pystoi.stoi(reference, degraded, rate, extended=True))


def visqol_speech(reference: Samples, degraded: Samples, rate: int) -> float:
    """ViSQOL v3, speech mode at 16 kHz, 1 to 5, higher is better (Chinen et al., 2020)."""
    return _visqol("speech", 16000, reference, degraded, rate)


def visqol_audio(reference: Samples, degraded: Samples, rate: int) -> float:
    """ViSQOL v3, audio mode at 48 kHz, 1 to about 4.73, higher is better; sees bandwidth."""
    return _visqol("audio", 48000, reference, degraded, rate)


def _visqol(mode: str, target: int, a: Samples, b: Samples, rate: int) -> float:
    measure = _visqol_model(mode)
    a, b = (soxr.resample(x, rate, target).astype(np.float64) for x in (a, b))
    return float(measure.measure_from_arrays(a, b, target).moslqo)


@functools.cache
def _visqol_model(mode: str) -> Any:
    api = _need("visqol").VisqolApi()
    # The exponential speech mapping: its optional lattice needs a TensorFlow runtime.
    api.create(mode=mode, use_lattice_model=False if mode == "speech" else None)
    return api


def _need(module: str) -> Any:
    try:
        return __import__(module)
    except ImportError:
        raise MissingExtraError(f"the metric of {module}", "bench") from None


METRICS: dict[str, Metric] = {
    "PESQ-WB": pesq_wb,
    "ESTOI": estoi,
    "ViSQOL-speech": visqol_speech,
    "ViSQOL-audio": visqol_audio,
    "mel distance": mel_distance,
    "SNR dB": snr,
}


def score(
    reference: Samples, degraded: Samples, rate: int, names: tuple[str, ...] = tuple(METRICS)
) -> dict[str, float | None]:
    """Metrics by name; None where the clip is beyond a metric (e.g. no speech for PESQ).

    Raises:
        MissingExtraError: a metric's package is not installed.
    """
    scores: dict[str, float | None] = {}
    for name in names:
        try:
            scores[name] = METRICS[name](reference, degraded, rate)
        except AudioError:
            scores[name] = None
    return scores
