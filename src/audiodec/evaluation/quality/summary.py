"""Means with 95 % intervals by the bootstrap over speakers and their clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiodec.evaluation.quality.scores import Score

BOOTSTRAP_DRAWS = 1000


@dataclass(frozen=True)
class Mean:
    """Mean over clips and its 95 % interval; a single clip has none: both ends are its value."""

    value: float
    low: float
    high: float

    @property
    def half(self) -> float:
        """Half the width of the interval."""
        return (self.high - self.low) / 2

    def plus_minus(self, digits: int) -> str:
        """Write "±" and `half`; nothing where there is no interval."""
        return f"±{self.half:.{digits}f}" if self.half else ""


def summarise(scores: Sequence[Score]) -> dict[str, dict[str, Mean]]:
    """Compute means by codec and metric, `kbps` among them; clips beyond a metric are left out of
    it.

    What is drawn again are speakers, then clips of each (Davison and Hinkley, 1997, section 3.8):
    clips of one speaker are no independent samples of speech. A clip of which no speaker is known
    is its own.
    """
    table: dict[str, dict[str, Mean]] = {}
    for codec in dict.fromkeys(s.codec for s in scores):
        own = [s for s in scores if s.codec == codec]
        weights = _draw([s.labels.get("speaker", f"/{i}") for i, s in enumerate(own)])
        table[codec] = {"kbps": _mean([s.kbps for s in own], weights)}
        for metric in dict.fromkeys(name for s in own for name in s.values):
            values = [s.values.get(metric) for s in own]
            if any(v is not None for v in values):
                table[codec][metric] = _mean(values, weights)
    return table


def groups(scores: Sequence[Score], label: str) -> dict[str, list[Score]]:
    """Group scores by the value of a label, in alphabetical order, without those that lack it."""
    found = sorted({s.labels[label] for s in scores if label in s.labels})
    return {value: [s for s in scores if s.labels.get(label) == value] for value in found}


def _draw(speakers: Sequence[str]) -> NDArray[np.float64]:
    """How often each clip is in each draw, [draws, clips]; the same for the same speakers, so
    that codecs meet the same draws."""
    random, names = np.random.default_rng(0), list(dict.fromkeys(speakers))
    times = random.multinomial(len(names), np.full(len(names), 1 / len(names)), BOOTSTRAP_DRAWS)
    weights = np.zeros((BOOTSTRAP_DRAWS, len(speakers)))
    for i, name in enumerate(names):
        clips = np.flatnonzero([speaker == name for speaker in speakers])
        # n clips for every time the speaker was drawn, all draws of clips at once.
        share = np.full(len(clips), 1 / len(clips))
        weights[:, clips] = random.multinomial(times[:, i] * len(clips), share)
    return weights


def _mean(values: Sequence[float | None], weights: NDArray[np.float64]) -> Mean:
    known = np.array([v is not None for v in values])
    array, weights = np.array([v for v in values if v is not None]), weights[:, known]
    drawn = weights[weights.sum(axis=1) > 0]
    low, high = np.percentile(drawn @ array / drawn.sum(axis=1), (2.5, 97.5))
    return Mean(float(array.mean()), float(low), float(high))
