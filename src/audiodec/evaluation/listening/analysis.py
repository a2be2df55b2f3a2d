"""What the answers to a test say."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audiodec.errors import AudioDecError
from audiodec.evaluation.listening.answers import Rating
from audiodec.evaluation.listening.definition import Test
from audiodec.evaluation.listening.screening import screen
from audiodec.evaluation.listening.statistics import (
    Comparison,
    Discrimination,
    Mean,
    Values,
    compare,
    discriminate,
    mean,
)


@dataclass(frozen=True)
class System:
    """Scores of one system.

    Attributes:
        mean: over listeners.
        quartiles: 25, 50 and 75 % of all single scores, as ITU-R BS.1534-3 asks for.
    """

    name: str
    mean: Mean
    quartiles: tuple[float, float, float]


@dataclass(frozen=True)
class Analysis:
    """What the answers of a listening test say.

    Attributes:
        listeners: who count.
        unfinished: who have trials left, and are left out.
        excluded: who were screened out, with the reason.
        systems: best first; empty for ABX.
        comparisons: of every pair; for ABX `discriminations` instead.
    """

    method: str
    title: str
    clips: int
    listeners: list[str]
    unfinished: list[str]
    excluded: dict[str, str]
    systems: list[System]
    comparisons: list[Comparison]
    discriminations: list[Discrimination]


def analyse(test: Test, ratings: Sequence[Rating], unfinished: Sequence[str] = ()) -> Analysis:
    """Analyse a test. Raises AudioDecError when no listener counts."""
    finished = [r for r in ratings if r.listener not in unfinished]
    if not finished:
        raise AudioDecError("nobody has finished this test yet")
    excluded = screened_out(test, ratings, unfinished)
    counted = [r for r in finished if r.listener not in excluded]
    if not counted:
        raise AudioDecError("post-screening excludes every listener: was the playback in order?")
    systems: list[System] = []
    comparisons: list[Comparison] = []
    discriminations: list[Discrimination] = []
    if test.method == "abx":
        answers = {
            pair: [r.score for r in counted if (r.system, r.other) == pair] for pair in test.pairs
        }
        discriminations = discriminate(answers)
    else:
        by_listener = _by_listener(test, counted)
        systems = [_system(name, by_listener[name], counted) for name in test.systems]
        systems.sort(key=lambda s: -s.mean.value)
        comparisons = compare(by_listener, test.pairs)
    return Analysis(
        method=test.method,
        title=test.title,
        clips=len(test.clips),
        listeners=list(dict.fromkeys(r.listener for r in counted)),
        unfinished=list(unfinished),
        excluded=excluded,
        systems=systems,
        comparisons=comparisons,
        discriminations=discriminations,
    )


def _by_listener(test: Test, ratings: Sequence[Rating]) -> dict[str, Values]:
    """Each listener's mean over the clips, by system."""
    scores: dict[str, dict[str, list[float]]] = {name: {} for name in test.systems}
    for r in ratings:
        scores[r.system].setdefault(r.listener, []).append(r.score)
    order = sorted({r.listener for r in ratings})
    return {
        name: np.array([np.mean(given[listener]) for listener in order])
        for name, given in scores.items()
    }


def _system(name: str, by_listener: Values, ratings: Sequence[Rating]) -> System:
    low, middle, high = np.quantile(
        [r.score for r in ratings if r.system == name], (0.25, 0.5, 0.75)
    )
    return System(name, mean(by_listener), (float(low), float(middle), float(high)))


def screened_out(
    test: Test, ratings: Sequence[Rating], unfinished: Sequence[str] = ()
) -> dict[str, str]:
    """Find listeners whose ratings do not count though they have finished, and say why."""
    finished = [r for r in ratings if r.listener not in unfinished]
    return screen(finished) if test.method == "mushra" else {}


def to_csv(test: Test, ratings: Sequence[Rating], unfinished: Sequence[str] = ()) -> str:
    """Write every rating, a line each, and whether it counts: also of a test of which nothing
    counts."""
    left_out = {*unfinished, *screened_out(test, ratings, unfinished)}
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    abx = test.method == "abx"
    named = ["a", "b", "right"] if abx else ["system", "score"]
    writer.writerow(["listener", "clip", *named, "counts"])
    for r in ratings:
        told = [r.system, r.other, f"{r.score:g}"] if abx else [r.system, f"{r.score:g}"]
        row = [r.listener, r.clip, *told]
        # A spreadsheet runs a cell that begins like a formula: listeners choose their names.
        safe = [f"'{cell}" if cell[:1] in ("=", "+", "-", "@") else cell for cell in row]
        writer.writerow([*safe, int(r.listener not in left_out)])
    return text.getvalue()
