"""Who hears what when: orders balanced over listeners, the same at every reload.

Clips and stimuli come in the order of Latin squares of Williams (Aust. J. Sci. Res. A 2, 1949):
over as many listeners as there are items, each takes each place once; over twice as many, each
follows each other equally often. Which item is which letter of the square is drawn by hashing, so
that no version of a random generator changes an order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from audiodec.evaluation.listening.definition import REFERENCE, Clip, Test

T = TypeVar("T")
Pair = tuple[str, str]


@dataclass(frozen=True)
class Trial:
    """One screen of a listening test.

    Attributes:
        stimuli: systems in the order shown. MUSHRA: those to rate, then the open reference;
            MOS: one; ABX: A, B, and X, which is one of them.
        pair: what ABX compares.
        practice: heard and answered, but not counted.
    """

    clip: Clip
    stimuli: tuple[str, ...]
    pair: Pair | None = None
    practice: bool = False


def balanced(items: Sequence[T], listener: int, *key: object, shift: int = 0) -> list[T]:
    """Give the row of a listener in a Latin square: letters 0, 1, n-1, 2, n-2, ... plus the row.

    The second n listeners get the mirror image, which balances who follows whom for odd n too.

    Args:
        key: another one draws another square.
        shift: rows further on in the same square.
    """
    count = len(items)
    letters = _shuffled(items, *key, listener // (2 * count))
    zigzag = [(place + 1) // 2 if place % 2 else -(place // 2) for place in range(count)]
    row = [letters[(step + listener + shift) % count] for step in zigzag]
    return row[::-1] if listener // count % 2 else row


def plan(test: Test, listener: int) -> list[Trial]:
    """Plan the trials of a listener, in order, those for practice first.

    MOS and ABX come in rounds: each clip once a round, its systems (or pairs) spread evenly over
    listeners and rounds. All rounds have the same order, so that a clip comes back late.

    Args:
        listener: number in the order of arrival, 0 and up.
    """
    kinds, numbers = len(test.conditions), range(len(test.clips))
    clips = balanced(numbers, listener, test.seed, "clips")
    starts = _shuffled(numbers, test.seed, "starts", listener // kinds)
    conditions = _shuffled(test.conditions, test.seed, "conditions", listener // kinds)
    trials = [
        _trial(test, clip, conditions[(starts[clip] + part + listener) % kinds], listener)
        for part in range(kinds)
        for clip in clips
    ]
    # The range of what is to come, on the clip that comes last.
    practice = [t for t in trials if t.clip == trials[-1].clip]
    return [Trial(t.clip, t.stimuli, t.pair, practice=True) for t in practice] + trials


def _trial(test: Test, number: int, condition: Pair | str | None, listener: int) -> Trial:
    clip = test.clips[number]
    if isinstance(condition, str):
        return Trial(clip, (condition,))
    if condition is None:
        systems = balanced(test.systems, listener, test.seed, "stimuli", number, shift=number)
        return Trial(clip, (*systems, REFERENCE))
    a, b = condition
    ways = [(a, b, a), (a, b, b), (b, a, a), (b, a, b)]
    ways = _shuffled(ways, test.seed, "abx", number, condition, listener // 4)
    return Trial(clip, ways[listener % 4], condition)


def _shuffled(items: Sequence[T], *key: object) -> list[T]:
    def drawn(item: T) -> bytes:
        return hashlib.sha256(repr((key, item)).encode()).digest()

    return sorted(items, key=drawn)
