"""The orthonormal DCT-II as a matrix, and Bark-wide bands over its bins."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor


def dct_matrix(size: int) -> Tensor:
    """Make the orthonormal DCT-II, [bin, sample]; its transpose is the inverse."""
    sample = torch.arange(size, dtype=torch.float64) + 0.5
    bins = torch.arange(size, dtype=torch.float64)[:, None]
    matrix = torch.cos(math.pi / size * sample * bins) * math.sqrt(2 / size)
    matrix[0] /= math.sqrt(2)
    return matrix.float()


def bark_bands(bins: int, count: int, nyquist: float) -> tuple[Tensor, Tensor]:
    """Partition DCT bins into at most `count` bands of equal width on the Bark scale.

    Bark scale: Traunmüller, "Analytical expressions for the tonotopic sensory scale", 1990.

    Args:
        bins: number of DCT bins, spread evenly over 0 to `nyquist` Hz.

    Returns:
        averaging matrix [bins, bands] (columns sum to 1), and interpolation matrix
        [bands, bins] (linear between band centres, columns sum to 1). Bands too narrow to hold
        a bin are left out, so there may be fewer than `count`.
    """

    def bark(hertz: np.ndarray | float) -> np.ndarray:
        return np.asarray(26.81 * hertz / (1960 + hertz))

    frequency = (np.arange(bins) + 0.5) / bins * nyquist
    position = bark(frequency) / bark(nyquist) * count
    _, band = np.unique(np.minimum(position.astype(int), count - 1), return_inverse=True)
    member = np.eye(band.max() + 1)[band]  # [bins, bands]
    centres = (member * np.arange(bins)[:, None]).sum(0) / member.sum(0)
    return torch.tensor(member / member.sum(0)).float(), _between(centres, np.arange(bins)).float()


def even_bands(bins: int, lowest: float, nyquist: float, width: float) -> Tensor:
    """Make a matrix [bands, bins] that interpolates to bands of `width` Hz each, from `lowest` up.

    Linear between band centres; columns sum to 1 above `lowest` and to 0 below it.
    """
    frequency = (np.arange(bins) + 0.5) / bins * nyquist
    centres = np.arange(lowest + width / 2, nyquist, width)
    return (_between(centres, frequency) * torch.tensor(frequency >= lowest)).float()


def _between(centres: np.ndarray, places: np.ndarray) -> Tensor:
    """Weights [centres, places] of linear interpolation, constant beyond the outer centres."""
    return torch.tensor(np.stack([np.interp(places, centres, row) for row in np.eye(len(centres))]))
