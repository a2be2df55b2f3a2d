"""What a recording is worth: how high its sound reaches, and how far speech stands above pauses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import welch

DEPTH_DB = 60  # dB below the strongest band, where a spectrum counts as ended
SMOOTHING_HZ = 100
FRAME_S = 0.02  # seconds of a level


def bandwidth(samples: NDArray[np.float32], rate: int) -> float:
    """Measure the Hz up to which a recording holds sound: where its long-term spectrum falls for
    good to 60 dB below its peak.

    Low-pass filters of encoders and of resamplers fall much deeper than that. A constant hiss
    counts as sound.

    Args:
        samples: mono, [samples].
        rate: Hz.
    """
    size = min(len(samples), 1 << int(np.ceil(np.log2(rate / 25))))  # bins of 25 Hz or less
    frequency, power = welch(samples, rate, nperseg=size)
    width = max(1, round(SMOOTHING_HZ / frequency[1]))
    smooth = np.convolve(power, np.full(width, 1 / width), "same")
    return float(frequency[np.flatnonzero(smooth >= smooth.max() * 10 ** (-DEPTH_DB / 10))[-1]])


def snr(samples: NDArray[np.float32], rate: int) -> float:
    """Measure dB from pauses to speech: between the 8th and the 95th percentile of the levels of 20
    ms.

    Args:
        samples: mono, [samples], at least 20 ms.
        rate: Hz.
    """
    size = int(FRAME_S * rate)
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    quiet, loud = np.percentile(10 * np.log10(np.mean(frames**2, axis=1) + 1e-12), [8, 95])
    return float(loud - quiet)
