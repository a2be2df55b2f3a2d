"""A stream through a runtime: each step takes the state that the one before has left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from numpy.typing import NDArray

from audiodec.runtime.base import State

Step = Callable[[NDArray[Any], State], tuple[NDArray[Any], State]]


class Steps:
    """Streams side by side that go through a runtime, piece by piece.

    Args:
        step: What is done with each piece: a method of `Runtime` that takes and returns a state.
        state: What the first piece begins with.
    """

    def __init__(self, step: Step, state: State) -> None:
        self._step, self._state = step, state

    def through(self, pieces: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
        """Take pieces [batch, ..., n] that follow each other, and give what the step makes of
        each."""
        for piece in pieces:
            made, self._state = self._step(piece, self._state)
            yield made


def cut(signal: NDArray[Any], size: int) -> Iterator[NDArray[Any]]:
    """Cut [batch, ..., n] into pieces of `size`, the last of them shorter, so that what a runtime
    needs for one stays bounded."""
    for start in range(0, signal.shape[-1], size):
        yield signal[..., start : start + size]
