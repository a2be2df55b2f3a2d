"""Means and intervals of a listening test as a picture: an SVG whose words stay words."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from audiodec.evaluation.listening.analysis import Analysis

WIDTH_IN, ROW_IN, MARGIN_IN = 7.9, 0.42, 1.7
MAX_LETTERS = 30  # of a name
BLUE, GREY = "#1d5fd1", "#5b6472"
# The same ratings, the same file; letters as text, so that they can be searched and read aloud.
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "audiodec",
    "svg.fonttype": "none",
    "text.parse_math": False,
}


@dataclass(frozen=True)
class Scale:
    """What a method measures; `labels` are words above the axis."""

    subject: str
    ticks: tuple[float, ...]
    labels: dict[float, str]
    decimals: int


SCALES = {
    "mushra": Scale(
        "MUSHRA score", (0, 20, 40, 60, 80, 100),
        {10: "Bad", 30: "Poor", 50: "Fair", 70: "Good", 90: "Excellent"}, 1,
    ),
    "mos": Scale(
        "Mean opinion score", (1, 2, 3, 4, 5),
        {1: "Bad", 2: "Poor", 3: "Fair", 4: "Good", 5: "Excellent"}, 2,
    ),
    "abx": Scale(
        "Share of right answers", (0, 0.25, 0.5, 0.75, 1), {0.5: "guessing", 1: "always heard"}, 2
    ),
}  # fmt: skip


def plot(analysis: Analysis) -> str:
    """Draw mean and t interval of every system; in ABX the share of right answers of every pair.

    Returns:
        SVG.
    """
    scale = SCALES[analysis.method]
    rows = [(s.name, s.mean.value, s.mean.t) for s in analysis.systems]
    rows += [(f"{d.a} / {d.b}", d.share, d.exact) for d in analysis.discriminations]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_IN, MARGIN_IN + ROW_IN * len(rows)), layout="constrained")
        axis = figure.subplots()
        for place, (_, value, interval) in enumerate(rows):
            if interval is not None:
                reach = [[value - interval[0]], [interval[1] - value]]
                axis.errorbar(value, place, xerr=reach, color=BLUE, capsize=4, linewidth=2)
            axis.plot(value, place, "o", color=BLUE, markersize=8, clip_on=False)
        axis.set_yticks(range(len(rows)), [_short(name) for name, _, _ in rows])
        axis.set(xticks=scale.ticks, xlim=scale.ticks[:: len(scale.ticks) - 1])
        axis.set_ylim(len(rows) - 0.4, -0.6)  # the first on top
        axis.grid(axis="x", color="#d9dde3")
        axis.set_axisbelow(True)
        axis.spines[:].set_visible(False)
        axis.tick_params(length=0)
        axis.tick_params(axis="x", labelcolor=GREY)
        words = axis.secondary_xaxis("top")
        words.set_xticks(list(scale.labels), list(scale.labels.values()))
        words.tick_params(length=0, labelcolor=GREY)
        words.spines[:].set_visible(False)
        values = axis.secondary_yaxis("right")
        shown = [f"{value:.{scale.decimals}f}" for _, value, _ in rows]
        values.set_yticks(range(len(rows)), shown, fontweight="bold")
        values.tick_params(length=0)
        values.spines[:].set_visible(False)
        figure.suptitle(analysis.title, x=0.02, ha="left", fontsize=12, fontweight="bold")
        listeners = f"{len(analysis.listeners)} listeners, {analysis.clips} clips"
        axis.set_title(
            f"{scale.subject} with 95 % interval, {listeners}", loc="left", color=GREY, fontsize=9
        )
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Title": analysis.title})
    return text.getvalue()


def _short(name: str) -> str:
    return name if len(name) <= MAX_LETTERS else name[: MAX_LETTERS - 1] + "…"
