"""A lossy network, simulated: which packets are lost, in bursts, seeded."""

from __future__ import annotations

import numpy as np


def gilbert_losses(count: int, loss: float, burst: float, seed: int) -> list[bool]:
    """Which of `count` packets are lost (Gilbert, "Capacity of a burst-noise channel", 1960).

    Args:
        loss: share of packets lost, 0 up to below 1.
        burst: mean length of a run of losses, 1 or more.

    Raises:
        ValueError: outside those ranges.
    """
    if not 0 <= loss < 1 or burst < 1:
        raise ValueError(f"loss must be 0 up to below 1 and burst 1 or more, not {loss}, {burst}")
    random = np.random.default_rng(seed)
    leave = 1 / burst  # probability that a run of losses ends
    enter = min(1.0, leave * loss / (1 - loss))
    lost, bad = [], bool(random.random() < loss)
    for _ in range(count):
        lost.append(bad)
        bad = bool(random.random() < (1 - leave if bad else enter))
    return lost
