"""How evenly a model uses its codebooks."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiodec.arrays import Codes


@dataclass(frozen=True)
class Usage:
    """How one codebook of the quantizer is used.

    Attributes:
        codebook: from 1.
        perplexity: codes that would carry as much information if all were equally frequent.
        bits: entropy of a code, the logarithm of that to base 2.
        used: codes that occurred.
    """

    codebook: int
    perplexity: float
    bits: float
    used: int


def count(codes: Iterable[Codes], size: int) -> NDArray[np.int64]:
    """Count how often each code occurs, [codebooks, size].

    Args:
        codes: each [codebooks, frames].
        size: of a codebook.
    """
    rows = ([np.bincount(codebook, minlength=size) for codebook in clip] for clip in codes)
    return functools.reduce(np.add, (np.asarray(row, np.int64) for row in rows))


def usage(counts: NDArray[np.int64]) -> Iterator[Usage]:
    """Compute the usage of each codebook, from what `count` found. The perplexity of few frames is
    too low: have at least thirty for each code."""
    for codebook, row in enumerate(counts, start=1):
        share = row[row > 0] / row.sum()
        bits = float(-np.sum(share * np.log2(share)))
        yield Usage(codebook, 2**bits, bits, int(np.count_nonzero(row)))
