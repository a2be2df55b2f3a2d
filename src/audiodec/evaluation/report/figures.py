"""What the charts show: quality over measured rate, and over latency."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from audiodec.evaluation.quality import Mean, Score
from audiodec.evaluation.quality.uncoded import UNCODED
from audiodec.evaluation.report.chart import KBPS, LATENCY, Curve, Point, chart

Summary = dict[str, dict[str, Mean]]  # by codec and metric, with the measured kbps
COMMON_KBPS = 12.0  # kbps near which codecs are compared over latency


@dataclass(frozen=True)
class Setting:
    """One codec at one rate, as its scores tell.

    Attributes:
        latency_ms: algorithmic; infinite when it needs the whole signal.
    """

    codec: str
    family: str
    latency_ms: float
    means: dict[str, Mean]

    @property
    def kbps(self) -> float:
        """Measured kbps, the mean over the clips."""
        return self.means["kbps"].value


def settings(scores: Sequence[Score], summary: Summary) -> list[Setting]:
    """List every codec at every rate, in the order of the scores."""
    first = {s.codec: s for s in reversed(scores)}
    return [
        Setting(codec, first[codec].family or codec, first[codec].latency_ms, means)
        for codec, means in summary.items()
    ]


def families(found: Sequence[Setting]) -> list[str]:
    """List the names in order: the place of one is its number, i.e. its colour and shape."""
    return list(dict.fromkeys(s.family for s in found))


def rate_chart(found: Sequence[Setting], metric: str) -> str:
    """Draw quality over measured kbps, a curve for each family."""
    curves = []
    for number, family in enumerate(families(found)):
        own = [s for s in found if s.family == family and metric in s.means]
        own.sort(key=lambda s: s.kbps)
        points = [Point(s.kbps, s.means[metric], _tip(s, metric)) for s in own]
        if points:
            curves.append(Curve(number, family, points, level=family == UNCODED))
    return chart(curves, KBPS, f"{metric} over measured kbps")


def latency_chart(found: Sequence[Setting], metric: str) -> str:
    """Draw quality over algorithmic latency, each family at its rate nearest to 12 kbps."""
    curves = []
    for number, family in enumerate(families(found)):
        own = [s for s in found if s.family == family and metric in s.means]
        if family == UNCODED or not own or not math.isfinite(own[0].latency_ms):
            continue
        s = min(own, key=lambda s: abs(math.log(s.kbps / COMMON_KBPS)))
        point = Point(s.latency_ms, s.means[metric], _tip(s, metric), f"{s.kbps:.1f}")
        curves.append(Curve(number, family, [point]))
    return chart(curves, LATENCY, f"{metric} over algorithmic latency")


def _tip(s: Setting, metric: str) -> str:
    mean = s.means[metric]
    latency = f"{s.latency_ms:g} ms" if math.isfinite(s.latency_ms) else "whole signal"
    return (
        f"{s.codec}: {metric} {mean.value:.3f} ({mean.low:.3f} to {mean.high:.3f}), "
        f"{s.kbps:.2f} kbps, {latency}"
    )
