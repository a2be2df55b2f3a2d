"""Metrics sample by sample. They see phase, which listeners mostly do not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audiodec.arrays import Samples

ENERGY_FLOOR = 1e-12  # of energies: so that silence and perfect copies have a value


def snr(reference: Samples, degraded: Samples, rate: int) -> float:
    """Compute the signal-to-noise ratio in dB; higher is better."""
    return _ratio(_energy(reference), _energy(reference - degraded))


def si_sdr(reference: Samples, degraded: Samples, rate: int) -> float:
    """Compute the scale-invariant signal-to-distortion ratio in dB; higher is better.

    The signal is the projection of the degraded on the reference, the distortion is the rest
    (Le Roux et al., 2019). The mean is not removed.
    """
    a, b = reference.astype(np.float64), degraded.astype(np.float64)
    target = a * (float(a @ b) / max(_energy(a), ENERGY_FLOOR))
    return _ratio(_energy(target), _energy(b - target))


def _energy(x: NDArray[np.floating]) -> float:
    return float(np.square(x, dtype=np.float64).sum())


def _ratio(signal: float, noise: float) -> float:
    return 10 * float(np.log10(max(signal, ENERGY_FLOOR) / max(noise, ENERGY_FLOOR)))
