"""What a metric is, and how its packages are found."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr

from audiodec.arrays import Samples
from audiodec.errors import AudioDecError, AudioError, MissingExtraError

MIN_CLIP_S = 0.4  # seconds: 30 frames of STOI; below, the packages fail in many ways
Function = Callable[[Samples, Samples, int], float]


class MissingPackageError(AudioDecError):
    """A metric needs packages that no extra can hold, because their own requirements conflict."""


@dataclass(frozen=True)
class Metric:
    """A metric with what a reader of its numbers must know.

    Attributes:
        name: Its key in tables and on the command line.
        function: What computes it, of reference, degraded and rate.
        low, high: Its range; None where it has no bound.
        unit: Of its values; empty for a bare number.
        higher_is_better: Its direction.
        source: Paper or standard that defines it.
        needs_reference: False where it listens to the degraded signal alone.
        install: What it needs beyond the plain install, for a person.
    """

    name: str
    function: Function
    low: float | None
    high: float | None
    unit: str
    higher_is_better: bool
    source: str
    needs_reference: bool = True
    install: str = ""

    def __call__(self, reference: Samples, degraded: Samples, rate: int) -> float:
        """Compute the value for one pair of signals.

        Args:
            reference: The original, float32 in [-1, 1], [samples].
            degraded: What became of it, aligned and as long.
            rate: Hz of both.

        Raises:
            AudioError: The clip is beyond the metric, e.g. it holds no speech.
            MissingExtraError, MissingPackageError: a package is not installed.
        """
        return self.function(reference, degraded, rate)


def need(module: str, feature: str, install: str | None = None) -> Any:
    """Import an optional module.

    Args:
        feature: what needs it, for the error.
        install: the command that gets it; the extra `bench` if not given.

    Raises:
        MissingExtraError, MissingPackageError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        if install is None:
            raise MissingExtraError(feature, "bench") from None
        raise MissingPackageError(f"{feature} needs more packages: {install}") from None


def resampled(samples: Samples, rate: int, to: int) -> Samples:
    """Resample [samples] to another rate. Raises AudioError when there are none."""
    if not len(samples):
        raise AudioError("the clip is empty")
    return np.asarray(soxr.resample(samples, rate, to), np.float32)


def check_sound(samples: Samples, rate: int) -> None:
    """Refuse what models of listeners cannot take, short clips and silence. Raises AudioError."""
    if len(samples) < MIN_CLIP_S * rate or not samples.any():
        raise AudioError(f"the clip is shorter than {MIN_CLIP_S:g} s, or silence")
