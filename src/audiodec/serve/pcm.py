"""Sound as bytes: samples one after the other, the channels of each side by side."""

from __future__ import annotations

from typing import Any

import numpy as np

from audiodec.arrays import Samples
from audiodec.errors import AudioError

FORMATS: dict[str, np.dtype[Any]] = {
    "s16": np.dtype("<i2"),
    "f32": np.dtype("<f4"),
    "l16": np.dtype(">i2"),  # in RTP (RFC 3551, section 4.5.11)
}
FULL_SCALE = 32768  # of 16-bit integers


def from_pcm(data: bytes, kind: str, channels: int) -> Samples:
    """Turn bytes into samples [channels, n].

    Raises:
        AudioError: not a whole number of samples, or values that are not finite.
    """
    dtype = FORMATS[kind]
    if len(data) % (dtype.itemsize * channels):
        raise AudioError(f"{len(data)} bytes are no whole samples")
    samples = np.frombuffer(data, dtype).reshape(-1, channels).T.astype(np.float32)
    if not np.isfinite(samples).all():
        raise AudioError("audio holds values that are not finite")
    return samples / np.float32(FULL_SCALE) if dtype.kind == "i" else samples


def to_pcm(samples: Samples, kind: str) -> bytes:
    """Turn samples [channels, n] in [-1, 1] into bytes."""
    values = samples.T
    if FORMATS[kind].kind == "i":
        values = np.clip(np.rint(values * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1)
    return values.astype(FORMATS[kind]).tobytes()
