"""Sounds made comparable: low-pass anchors, equal loudness, no audible lag."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pyloudnorm import Meter
from scipy.signal import firwin, kaiserord, oaconvolve

from audiodec.errors import AudioError
from audiodec.evaluation.metrics import align

Sound = NDArray[np.float64]  # [samples, channels]

LOUDNESS_LUFS = -23.0  # LUFS: the level of EBU R 128
PEAK = 10 ** (-1 / 20)  # of full scale: 1 dB below, so that no player clips
MIN_CLIP_S = 0.5  # s: gating works on blocks of 0.4 s
MAX_CLIP_S = 60.0
SAME_TIME_S = 0.01  # s of lag that nobody hears when switching
SAME_LENGTH_S = 0.25


def low_pass(sound: Sound, rate: int, cutoff: float) -> Sound:
    """Make an anchor of ITU-R BS.1534-3, without delay.

    The recommendation's mask for 3.5 kHz (ripple within 0.1 dB up to the cut-off, 25 dB down at
    8/7 and 50 dB down at 9/7 of it), met with 60 dB from 8/7 on, and scaled to other cut-offs.

    Args:
        cutoff: Hz.

    Raises:
        AudioError: the rate leaves nothing to cut.
    """
    stop = cutoff * 8 / 7
    if stop > rate / 2:
        raise AudioError(f"a {cutoff / 1000:g} kHz anchor needs clips of {2 * stop:g} Hz or more")
    taps, beta = kaiserord(60, (stop - cutoff) / (rate / 2))
    # Of an odd length, so that the delay is whole samples and "same" removes it.
    taps = firwin(taps | 1, (cutoff + stop) / 2, window=("kaiser", beta), fs=rate)
    return np.asarray(oaconvolve(sound, taps[:, None], mode="same", axes=0))


def fit(sound: Sound, reference: Sound, rate: int) -> tuple[Sound, float]:
    """Bring a system's output to the time and the length of its reference.

    Lags below 10 ms stay: nobody hears them, and correlating waveforms is no more exact than a
    pitch period where a codec does not keep phases.

    Returns:
        the sound, and the lag in s that was removed (positive: it was late).

    Raises:
        AudioError: it is not the same passage.
    """
    if sound.shape[1] != reference.shape[1]:
        raise AudioError(f"has {sound.shape[1]} channel(s), the reference {reference.shape[1]}")
    original, heard = (s.mean(axis=1).astype(np.float32) for s in (reference, sound))
    lag = align(original, heard, rate)[2]
    if abs(lag) <= SAME_TIME_S * rate:
        lag = 0
    sound = sound[lag:] if lag > 0 else np.pad(sound, ((-lag, 0), (0, 0)))
    longer = (len(sound) - len(reference)) / rate
    if abs(longer) > SAME_LENGTH_S:
        word = "longer" if longer > 0 else "shorter"
        raise AudioError(f"is {abs(longer):.2f} s {word} than the reference")
    missing = max(0, len(reference) - len(sound))
    return np.pad(sound, ((0, missing), (0, 0)))[: len(reference)], lag / rate


def equalise(sounds: Mapping[str, Sound], rate: int) -> dict[str, Sound]:
    """Bring the versions of one clip to one loudness: -23 LUFS (ITU-R BS.1770-4, gated).

    Where a peak would come above -1 dB of full scale, all of them are that much softer.

    Raises:
        AudioError: one is too short or silent.
    """
    gains: dict[str, float] = {}
    for name, sound in sounds.items():
        if len(sound) < MIN_CLIP_S * rate:
            raise AudioError(f"{name} is shorter than {MIN_CLIP_S} s")
        loudness = float(Meter(rate).integrated_loudness(sound))
        if not math.isfinite(loudness):
            raise AudioError(f"{name} is silent")
        gains[name] = 10 ** ((LOUDNESS_LUFS - loudness) / 20)
    peak = max(gains[name] * float(np.abs(sound).max()) for name, sound in sounds.items())
    lower = min(1.0, PEAK / peak)
    return {name: sound * gains[name] * lower for name, sound in sounds.items()}
