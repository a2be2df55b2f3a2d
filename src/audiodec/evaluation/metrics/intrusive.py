"""Models of a listener who compares with the original: PESQ, STOI, ViSQOL."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np

from audiodec.arrays import Samples
from audiodec.errors import AudioError
from audiodec.evaluation.metrics.base import check_sound, need, resampled


def pesq_wb(reference: Samples, degraded: Samples, rate: int) -> float:
    """Compute wideband PESQ, about 1.0 to 4.64, higher is better (ITU-T P.862.2; package pesq).

    Raises:
        AudioError: the reference is shorter than 0.4 s or holds no speech that PESQ can find.
    """
    pesq = need("pesq", "PESQ")
    check_sound(reference, rate)
    a, b = (resampled(x, rate, 16000) for x in (reference, degraded))
    try:
        return float(pesq.pesq(16000, a, b, "wb"))
    except pesq.PesqError as error:
        raise AudioError(f"PESQ cannot score this clip: {error}") from None


def stoi(reference: Samples, degraded: Samples, rate: int) -> float:
    """Compute short-time objective intelligibility, a correlation: -1 to 1, higher is better.

    Taal et al., 2011; package pystoi, at 10 kHz.

    Raises:
        AudioError: less than 0.4 s of the reference is not silent.
    """
    return _stoi(reference, degraded, rate, extended=False)


def estoi(reference: Samples, degraded: Samples, rate: int) -> float:
    """Compute extended short-time objective intelligibility, a correlation: -1 to 1, higher is
    better.

    Jensen and Taal, 2016; package pystoi, at 10 kHz.

    Raises:
        AudioError: less than 0.4 s of the reference is not silent.
    """
    return _stoi(reference, degraded, rate, extended=True)


def _stoi(reference: Samples, degraded: Samples, rate: int, extended: bool) -> float:
    pystoi = need("pystoi", "STOI")
    check_sound(reference, rate)
    with warnings.catch_warnings():
        # Where too little is left, pystoi warns and answers 1e-5, which would spoil a mean.
        warnings.filterwarnings("error", message="Not enough STFT frames")
        try:
            return float(pystoi.stoi(reference, degraded, rate, extended=extended))
        except RuntimeWarning:
            raise AudioError("too little of the clip is not silent") from None


def visqol_speech(reference: Samples, degraded: Samples, rate: int) -> float:
    """Compute ViSQOL v3, speech mode at 16 kHz, 1 to 5, higher is better (Chinen et al., 2020).

    Raises:
        AudioError: the clip is too short to hold a patch, or silence.
    """
    return _visqol("speech", 16000, reference, degraded, rate)


def visqol_audio(reference: Samples, degraded: Samples, rate: int) -> float:
    """Compute ViSQOL v3, audio mode at 48 kHz, 1 to about 4.73, higher is better; sees bandwidth.

    Raises:
        AudioError: the clip is too short to hold a patch, or silence.
    """
    return _visqol("audio", 48000, reference, degraded, rate)


def _visqol(mode: str, target: int, reference: Samples, degraded: Samples, rate: int) -> float:
    measure = _visqol_model(mode)
    check_sound(reference, rate)
    a, b = (resampled(x, rate, target).astype(np.float64) for x in (reference, degraded))
    try:
        return float(measure.measure_from_arrays(a, b, target).moslqo)
    except (IndexError, ValueError):  # the package finds no patch to compare in so short a clip
        raise AudioError("the clip is too short for ViSQOL") from None


@functools.cache
def _visqol_model(mode: str) -> Any:
    api = need("visqol", "ViSQOL").VisqolApi()
    # The exponential speech mapping: its optional lattice needs a TensorFlow runtime.
    api.create(mode=mode, use_lattice_model=False if mode == "speech" else None)
    return api
