"""Sound cut into overlapping frames, their spectral envelope, the way back, and mel filters."""

from __future__ import annotations

import functools
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

VOCAL_TRACT_S = 1.2e-3  # seconds of cepstrum; pitch lies above


def cut(samples: NDArray[Any], size: int, hop: int) -> NDArray[Any]:
    """Cut [..., samples] into [..., frames, size]; what does not fill a frame is left out."""
    return np.lib.stride_tricks.sliding_window_view(samples, size, axis=-1)[..., ::hop, :]


def overlap_add(frames: NDArray[Any], hop: int) -> NDArray[Any]:
    """Add frames [..., frames, size] with overlap, to [..., (frames - 1) * hop + size]."""
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
    kept = round(VOCAL_TRACT_S * rate)
    cepstrum[..., kept : cepstrum.shape[-1] - kept + 1] = 0
    return np.fft.rfft(cepstrum).real


@functools.cache
def mel_filters(
    size: int, bands: int, rate: int, scale: Literal["htk", "slaney"] = "htk"
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Make triangular filters on a mel scale from 0 to half the rate.

    `htk` has triangles of height 1, evenly on O'Shaughnessy's scale, 2595 log10(1 + f / 700);
    where one is narrower than a bin it takes its nearest bin. `slaney` has triangles of equal
    area, linearly below 1 kHz and logarithmically above (Slaney, "Auditory Toolbox", 1998), as
    librosa has by default.

    Args:
        size: samples of a frame; it has size // 2 + 1 bins.
        rate: Hz.

    Returns:
        filters [bins, bands], and the upper edge of each band in Hz [bands].
    """
    if scale == "htk":
        edges = 700 * (10 ** np.linspace(0, np.log10(1 + rate / 1400), bands + 2) - 1)
    else:
        step, knee, growth = 200 / 3, 15.0, np.log(6.4) / 27  # Hz per mel, mel at 1 kHz
        mel = np.linspace(0, knee + np.log(rate / 2000) / growth, bands + 2)
        edges = np.where(mel < knee, mel * step, 1000 * np.exp(growth * (mel - knee)))
    frequency = np.linspace(0, rate / 2, size // 2 + 1)[:, None]
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rise, fall = (frequency - low) / (centre - low), (high - frequency) / (high - centre)
    filters = np.maximum(np.minimum(rise, fall), 0)
    if scale == "slaney":
        return filters * 2 / (high - low), high
    empty = filters.sum(0) == 0
    filters[np.abs(frequency - centre).argmin(0)[empty], np.flatnonzero(empty)] = 1
    return filters, high
