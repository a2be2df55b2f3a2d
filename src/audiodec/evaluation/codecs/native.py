"""Codecs from C libraries: finding the library, addresses of arrays, 16-bit samples."""

from __future__ import annotations

import ctypes
from ctypes.util import find_library
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from audiodec.arrays import Samples
from audiodec.evaluation.codecs.base import MissingCodecError


def missing_library(codec: str, packages: dict[str, str]) -> str | None:
    """Say how to get the system's libraries of a codec; None where they are there.

    Args:
        packages: of Debian, by library, e.g. {"speex": "libspeex1"}.
    """
    absent = [package for library, package in packages.items() if not find_library(library)]
    return f"{codec} needs its library: apt-get install {' '.join(absent)}" if absent else None


def load_library(codec: str, library: str, package: str) -> Any:
    """Load a library of the system. Raises MissingCodecError when it is not installed."""
    if reason := missing_library(codec, {library: package}):
        raise MissingCodecError(reason)
    return ctypes.CDLL(find_library(library))


Sample = TypeVar("Sample", np.float32, np.int16)


def pointer(array: NDArray[Sample]) -> Any:
    """Give what a C function takes as the address of an array, which must be contiguous."""
    kind = ctypes.c_float if array.dtype == np.float32 else ctypes.c_int16
    return array.ctypes.data_as(ctypes.POINTER(kind))


def to_int16(samples: Samples) -> NDArray[np.int16]:
    """Turn floats in [-1, 1] into 16-bit samples, clipped."""
    return np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)


def to_float(samples: NDArray[np.int16]) -> Samples:
    """Turn 16-bit samples into floats in [-1, 1]."""
    return samples.astype(np.float32) / np.float32(32768)
