"""State of many streams in preallocated rows, lent to the runtime as one batch."""

from __future__ import annotations

import copy

import numpy as np

from audiodec.playback import Rows
from audiodec.runtime.base import State


class Slots:
    """One row per stream in every array or tensor of a state.

    A batch whose rows are those of the last one takes the runtime's own values back as they came
    out: streams in step cost no copy. Other rows are gathered, and written back only once a
    batch of different rows is asked for.

    Args:
        state: of `capacity` fresh streams, as the runtime gives it.
    """

    def __init__(self, state: State) -> None:
        self._home = {key: copy.deepcopy(value) for key, value in state.items()}
        self._fresh = {key: copy.deepcopy(array[:1]) for key, array in self._home.items()}
        self._out_rows: Rows = np.zeros(0, np.intp)  # of which `_out` is newer than `_home`
        self._out: State = {}

    def reset(self, rows: Rows) -> None:
        """Let fresh streams begin in these rows."""
        self._bring_home()
        for key, array in self._home.items():
            array[rows] = self._fresh[key]

    def take(self, rows: Rows) -> State:
        """Take the state of these streams, [len(rows), ...] each; give the next one to `put`."""
        if np.array_equal(rows, self._out_rows):
            return self._out
        self._bring_home()
        return {key: a[rows] for key, a in self._home.items()}

    def put(self, rows: Rows, state: State) -> None:
        """Keep what became of the state that was taken for these rows."""
        self._out_rows, self._out = rows, state

    def _bring_home(self) -> None:
        for key, value in self._out.items():
            self._home[key][self._out_rows] = value
        self._out_rows, self._out = np.zeros(0, np.intp), {}
