"""Distances between spectra, frame by frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audiodec.arrays import Samples
from audiodec.dsp import mel_filters

Spectra = NDArray[np.float64]
MAGNITUDE_FLOOR = 1e-5  # of magnitudes: what lies below counts as equal


def mel_distance(reference: Samples, degraded: Samples, rate: int) -> float:
    """Compute the mean |difference| of log10 mel magnitudes, 0 and up, lower is better.

    Hann window of 2048, hop 512, 120 HTK-mel triangles from 0 to half the rate, floor 1e-5.
    """
    mel = mel_filters(2048, 120, rate)[0]
    a, b = (
        np.log10(np.maximum(_magnitudes(x, 2048, 512) @ mel, MAGNITUDE_FLOOR))
        for x in (reference, degraded)
    )
    return float(np.abs(a - b).mean())


def log_spectral_distance(reference: Samples, degraded: Samples, rate: int) -> float:
    """Compute the root mean square over frequency of log10 power differences, mean over frames; 0
    and up.

    Gray and Markel, 1976. Hann window of 2048, hop 512, magnitudes floored at 1e-5. One unit is
    10 dB; a gain of g moves every clip by |2 log10 g|.
    """
    a, b = (
        2 * np.log10(np.maximum(_magnitudes(x, 2048, 512), MAGNITUDE_FLOOR))
        for x in (reference, degraded)
    )
    return float(np.sqrt(np.square(a - b).mean(axis=1)).mean())


def mel_cepstral_distortion(reference: Samples, degraded: Samples, rate: int) -> float:
    """Compute mel-cepstral distortion in dB, 0 and up, lower is better (Kubichek, 1993).

    (10 / ln 10) sqrt(2 sum over m of (c_m - c'_m)^2), m = 1 to 24, mean over frames as they stand
    (no warping in time). The cepstrum describes the natural-log mel spectrum by the SPTK
    convention, c_0 + sum of c_m cos(m w): so the value is the root mean square difference in
    dB of the smoothed spectra along the mel axis, apart from the level, which c_0 carries.
    """
    difference = _mel_cepstra(reference, rate) - _mel_cepstra(degraded, rate)
    decibels = 10 / np.log(10) * np.sqrt(2 * np.square(difference).sum(axis=1))
    return float(decibels.mean())


def _mel_cepstra(x: Samples, rate: int, order: int = 24, bands: int = 80) -> Spectra:
    """c_1 to c_24, [frames, order]: Hann window of 25 ms, hop 5 ms, 80 HTK-mel triangles."""
    size = 2 * round(0.0125 * rate)
    mel = mel_filters(size, bands, rate)[0]
    weighted = _magnitudes(x, size, round(0.005 * rate)) @ (mel / mel.sum(axis=0))
    place = np.pi * (np.arange(bands)[:, None] + 0.5) / bands
    transform = 2 / bands * np.cos(place * np.arange(1, order + 1))
    return np.asarray(np.log(np.maximum(weighted, MAGNITUDE_FLOOR)) @ transform)


def _magnitudes(x: Samples, size: int, hop: int) -> Spectra:
    """Magnitudes of centred frames, [frames, size // 2 + 1], zeros beyond the ends."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(x, size // 2), size)[::hop]
    return np.abs(np.fft.rfft(frames * np.hanning(size + 1)[:-1]))
