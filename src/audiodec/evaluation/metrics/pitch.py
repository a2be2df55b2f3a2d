"""Pitch and voicing, tracked in both signals by SwiftF0 (Nieradzik, 2025) at 16 kHz every 16 ms."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from audiodec.arrays import Samples
from audiodec.errors import AudioError
from audiodec.evaluation.metrics.base import need, resampled

RATE_HZ = 16000
STEP_S = 0.016  # seconds between frames
RANGE_HZ = (50.0, 600.0)  # Hz: of speech, from low voices to excited and children's ones


def f0_rmse(reference: Samples, degraded: Samples, rate: int) -> float:
    """Compute the root mean square difference of F0 in Hz over frames voiced in both; 0 and up.

    Raises:
        AudioError: no frame is voiced in both.
    """
    a, b = (track(x, rate) for x in (reference, degraded))
    both = (a > 0) & (b > 0)
    if not both.any():
        raise AudioError("no frame is voiced in both signals")
    return float(np.sqrt(np.square(a[both] - b[both]).mean()))


def voicing_error(reference: Samples, degraded: Samples, rate: int) -> float:
    """Count frames voiced in one signal and not in the other, in % of all frames; 0 to 100.

    The voicing decision error of Nakatani et al., 2008.
    """
    a, b = (track(x, rate) > 0 for x in (reference, degraded))
    return 100 * float((a != b).mean())


def track(x: Samples, rate: int) -> np.ndarray:
    """Estimate F0 in Hz, [frames]; 0 where the detector's confidence in voicing is below .5."""
    found = _detector().detect(resampled(x, rate, RATE_HZ), RATE_HZ, *RANGE_HZ)
    return np.where(found.confidence >= 0.5, found.pitch_hz, 0)


@functools.cache
def _detector() -> Any:
    return need("swift_f0", "F0 tracking").SwiftF0(threads=1)
