"""How evenly a model uses its codebooks."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiodec.runtime.base import Codes


@dataclass(frozen=True)
class Usage:
    """Of one stage of the quantizer.

    Attributes:
        stage: from 1.
        perplexity: codes that would carry as much information if all were equally frequent.
        bits: entropy of a code, the logarithm of that to base 2.
        used: codes that occurred.
    """

    stage: int
    perplexity: float
    bits: float
    used: int


def count(codes: Iterable[Codes], size: int) -> NDArray[np.int64]:
    """How often each code occurs, [stages, size].

    Args:
        codes: each [stages, frames].
        size: of a codebook.
    """
    rows = ([np.bincount(stage, minlength=size) for stage in clip] for clip in codes)
    return functools.reduce(np.add, (np.asarray(row, np.int64) for row in rows))


def usage(counts: NDArray[np.int64]) -> Iterator[Usage]:
    """By stage, of what `count` found. The perplexity of few frames is too low: have at least
    thirty for each code."""
    for stage, row in enumerate(counts, start=1):
        share = row[row > 0] / row.sum()
        bits = float(-np.sum(share * np.log2(share)))
        yield Usage(stage, 2**bits, bits, int(np.count_nonzero(row)))
