"""Means with intervals, paired and binomial tests. The independent unit is the listener.

Scores of one listener hang together: each listener's scores of a system are averaged over the
clips first. Intervals speak of other listeners and the same clips.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

CONFIDENCE = 0.95
BOOTSTRAP_DRAWS = 5000  # of the bootstrap

Values = NDArray[np.float64]  # [listeners]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Mean:
    """A mean over listeners with its 95 % intervals; None with a single listener.

    Attributes:
        t: by Student's t, as ITU-R BS.1534-3 and ITU-T P.800 report; it may leave the scale.
        bootstrap: percentiles of the means of listeners drawn with replacement.
    """

    value: float
    t: Interval | None
    bootstrap: Interval | None


@dataclass(frozen=True)
class Comparison:
    """Two systems rated by the same listeners.

    Attributes:
        difference: mean of a minus mean of b.
        p: of the Wilcoxon signed-rank test, two-sided.
        p_holm: corrected for the number of comparisons (Holm 1979).
    """

    a: str
    b: str
    difference: Mean
    p: float
    p_holm: float


@dataclass(frozen=True)
class Discrimination:
    """How often listeners told a system from another (ABX).

    Attributes:
        share: right answers of all.
        exact: 95 % interval of Clopper and Pearson.
        p: of so many right answers by guessing, one-sided binomial test.
    """

    a: str
    b: str
    right: int
    answers: int
    share: float
    exact: Interval
    p: float
    p_holm: float


def mean(values: Values) -> Mean:
    """Compute the mean of one value per listener, with its interval."""
    centre, count = float(values.mean()), len(values)
    if count < 2:
        return Mean(centre, None, None)
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1) * stats.sem(values))
    draws = np.random.default_rng(0).choice(values, (BOOTSTRAP_DRAWS, count)).mean(axis=1)
    low, high = np.quantile(draws, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
    return Mean(centre, (centre - reach, centre + reach), (float(low), float(high)))


def signed_rank(differences: Values) -> float:
    """Compute the p of the Wilcoxon signed-rank test, two-sided; 1 when nothing differs."""
    return float(stats.wilcoxon(differences).pvalue) if np.any(differences) else 1.0


def holm(values: Sequence[float]) -> list[float]:
    """Correct p values for their number (Holm, Scand. J. Statist. 6, 1979), in their order."""
    corrected = [0.0] * len(values)
    largest = 0.0
    for rank, index in enumerate(np.argsort(values, kind="stable")):
        largest = max(largest, min(1.0, (len(values) - rank) * values[index]))
        corrected[index] = largest
    return corrected


def compare(scores: dict[str, Values], pairs: Sequence[tuple[str, str]]) -> list[Comparison]:
    """Compare every pair of systems.

    Args:
        scores: one value per listener, by system, listeners in the same order.
    """
    differences = [scores[a] - scores[b] for a, b in pairs]
    p = [signed_rank(d) for d in differences]
    return [
        Comparison(a, b, mean(d), own, corrected)
        for (a, b), d, own, corrected in zip(pairs, differences, p, holm(p), strict=True)
    ]


def discriminate(answers: Mapping[tuple[str, str], Sequence[float]]) -> list[Discrimination]:
    """Test every pair of systems in ABX.

    Args:
        answers: 1 right or 0 wrong, of all listeners and clips, by pair. When nobody hears a
            difference they are independent guesses, whoever gives them.
    """
    right = {pair: int(sum(given)) for pair, given in answers.items()}
    tests = [
        stats.binomtest(right[pair], len(given), 0.5, alternative="greater")
        for pair, given in answers.items()
    ]
    corrected = holm([float(test.pvalue) for test in tests])
    found = []
    for (pair, given), test, p_holm in zip(answers.items(), tests, corrected, strict=True):
        both_sided = stats.binomtest(right[pair], len(given)).proportion_ci(CONFIDENCE, "exact")
        found.append(
            Discrimination(
                *pair, right[pair], len(given), right[pair] / len(given),
                (float(both_sided.low), float(both_sided.high)), float(test.pvalue), p_holm,
            )
        )  # fmt: skip
    return found
