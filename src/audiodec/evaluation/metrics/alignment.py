"""Alignment in time, before anything is compared."""

from __future__ import annotations

import numpy as np

from audiodec.arrays import Samples


def align(reference: Samples, degraded: Samples, rate: int) -> tuple[Samples, Samples, int]:
    """Shift by the lag (up to 0.2 s) of highest cross-correlation and cut to the overlap.

    Args:
        reference: The original, [samples].
        degraded: What became of it, [samples]; it may be longer or shorter.
        rate: Hz of both.

    Returns:
        Both signals, and the lag in samples (positive: the degraded one is late).
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
