"""Simulated rooms: responses by the image source method (Allen and Berkley, 1979)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from audiodec.errors import MissingExtraError


def simulate(count: int, rate: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """Simulate responses [samples] from talker to microphone in random rooms.

    Rooms of 2.5 to 8 m by 2.5 to 8 m by 2.4 to 3.5 m, reverberation (RT60) of 0.15 to 0.7 s.

    Args:
        rate: Hz.

    Raises:
        MissingExtraError: pyroomacoustics is not installed.
    """
    try:
        import pyroomacoustics
    except ImportError:
        raise MissingExtraError("simulating rooms", "train") from None
    random = np.random.default_rng(seed)
    made = 0
    while made < count:
        size = random.uniform((2.5, 2.5, 2.4), (8, 8, 3.5))
        try:
            absorption, order = pyroomacoustics.inverse_sabine(random.uniform(0.15, 0.7), size)
        except ValueError:  # so large a room cannot be so dead
            continue
        room = pyroomacoustics.ShoeBox(
            size, fs=rate, materials=pyroomacoustics.Material(absorption), max_order=min(order, 30)
        )
        room.add_source(random.uniform(0.5, size - 0.5))
        room.add_microphone(random.uniform(0.5, size - 0.5))
        room.compute_rir()
        response = np.asarray(room.rir[0][0], np.float32)
        yield response / np.abs(response).max()
        made += 1
