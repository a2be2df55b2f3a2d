"""Sound cut into overlapping frames, their spectral envelope, and the way back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

VOCAL_TRACT = 1.2e-3  # seconds of cepstrum; pitch lies above


def cut(samples: NDArray[Any], size: int, hop: int) -> NDArray[Any]:
    """[..., samples] -> frames, [..., frames, size]; what does not fill a frame is left out."""
    return np.lib.stride_tricks.sliding_window_view(samples, size, axis=-1)[..., ::hop, :]


def overlap_add(frames: NDArray[Any], hop: int) -> NDArray[Any]:
    """[..., frames, size] -> [..., (frames - 1) * hop + size]."""
    count, size = frames.shape[-2:]
    out = np.zeros((*frames.shape[:-2], (count - 1) * hop + size), frames.dtype)
    for i in range(count):
        out[..., i * hop : i * hop + size] += frames[..., i, :]
    return out


def envelope(spectrum: NDArray[Any], rate: int) -> NDArray[Any]:
    """Log magnitudes without their fine structure (cepstral smoothing), [..., bins].

    Args:
        spectrum: [..., bins] of frames of an even size.
        rate: Hz.
    """
    cepstrum = np.fft.irfft(np.log(np.abs(spectrum) + 1e-6))
    kept = round(VOCAL_TRACT * rate)
    cepstrum[..., kept : cepstrum.shape[-1] - kept + 1] = 0
    return np.fft.rfft(cepstrum).real
