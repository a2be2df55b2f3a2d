"""A chart as inline SVG: curves of means with interval bars over a logarithmic axis.

Colours are those of the page's style sheet (`.s0` to `.s6`, after Okabe and Ito, 2008, for every
kind of colour vision); shapes tell curves apart without them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from audiodec.evaluation.quality import Mean

COLOUR_COUNT = 7
WIDTH, HEIGHT = 400, 290
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 12, 42  # margins
CAP = 3.5  # half the width of an interval's end
SHAPES = (  # around 0, 0; with 6 shapes and 7 colours 42 curves differ
    '<circle r="4.2"/>',
    '<path d="M-4 -4H4V4H-4Z"/>',
    '<path d="M0 -5.2L5 4H-5Z"/>',
    '<path d="M0 -5.6L5.6 0L0 5.6L-5.6 0Z"/>',
    '<path d="M0 5.2L5 -4H-5Z"/>',
    '<path d="M-5 -2H-2V-5H2V-2H5V2H2V5H-2V2H-5Z"/>',
)


@dataclass(frozen=True)
class Point:
    """A mean over an x that is positive; `tip` is shown on hovering, `label` always."""

    x: float
    y: Mean
    tip: str
    label: str = ""


@dataclass(frozen=True)
class Curve:
    """Points in the order of x, joined by lines.

    Attributes:
        number: of its codec family, the same in every chart: colour and shape.
        level: one y without an x, drawn across.
    """

    number: int
    name: str
    points: Sequence[Point]
    level: bool = False


@dataclass(frozen=True)
class Axis:
    """A logarithmic axis: its title, and one of the ticks; the others are 2, 4, ... times that."""

    title: str
    tick: float


KBPS = Axis("measured kbps", 0.75)
LATENCY = Axis("algorithmic latency, ms", 5)


def look(number: int, level: bool = False) -> str:
    """Choose the classes of a curve: its colour, and dashes where colours come round again."""
    again = " again" if number >= COLOUR_COUNT else ""
    return "flat" if level else f"s{number % COLOUR_COUNT}{again}"


def marker(number: int) -> str:
    """Draw the shape of a curve, around 0, 0."""
    return SHAPES[number % len(SHAPES)]


def chart(curves: Sequence[Curve], axis: Axis, title: str) -> str:
    """Draw the SVG element; empty if there is nothing to draw."""
    points = [p for curve in curves for p in curve.points]
    placed = [p.x for curve in curves if not curve.level for p in curve.points]
    if not placed:
        return ""
    x, y = _across(min(placed), max(placed)), _up(points)
    lines = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
        *_grid(axis, x, y),
        *(_curve(curve, x, y) for curve in curves),
        *_labels(curves, x, y),
        "</svg>",
    ]
    return "\n".join(lines)


@dataclass(frozen=True)
class _Scale:
    """Data to pixels, and the values between which that is."""

    place: Callable[[float], float]
    low: float
    high: float


def _across(low: float, high: float) -> _Scale:
    a, b = math.log(low) - 0.12, math.log(high) + 0.12
    room = WIDTH - LEFT - RIGHT
    return _Scale(lambda v: LEFT + (math.log(v) - a) / (b - a) * room, math.exp(a), math.exp(b))


def _up(points: Sequence[Point]) -> _Scale:
    low, high = min(p.y.low for p in points), max(p.y.high for p in points)
    # Room around the marks, and more where they differ too little for ticks to tell.
    margin = max(0.05 * (high - low), 0.01 * max(abs(low), abs(high))) or 0.5
    low, high = low - margin, high + margin
    room = HEIGHT - TOP - BOTTOM
    return _Scale(lambda v: TOP + (high - v) / (high - low) * room, low, high)


def _grid(axis: Axis, x: _Scale, y: _Scale) -> list[str]:
    bottom, lines = HEIGHT - BOTTOM, []
    for value in _doublings(axis.tick, x.low, x.high):
        at = x.place(value)
        lines.append(f'<path class="grid" d="M{at:.1f} {TOP}V{bottom}"/>')
        lines.append(f'<text x="{at:.1f}" y="{bottom + 17}" class="mid">{value:g}</text>')
    for value in _rounds(y.low, y.high):
        at = y.place(value)
        lines.append(f'<path class="grid" d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}"/>')
        lines.append(f'<text x="{LEFT - 7}" y="{at + 4:.1f}" class="end">{value:g}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    lines.append(f'<text x="{middle}" y="{HEIGHT - 6}" class="mid">{escape(axis.title)}</text>')
    return lines


def _doublings(tick: float, low: float, high: float) -> list[float]:
    first, last = math.ceil(math.log2(low / tick)), math.floor(math.log2(high / tick))
    return [tick * 2**n for n in range(first, last + 1)]


def _rounds(low: float, high: float) -> list[float]:
    """Three to six multiples of 1, 2 or 5 times a power of ten."""
    power = 10 ** math.floor(math.log10((high - low) / 3))
    step = power * max(f for f in (1, 2, 5, 10) if f * power <= (high - low) / 3)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [round(n * step, 10) for n in range(first, last + 1)]


def _curve(curve: Curve, x: _Scale, y: _Scale) -> str:
    parts = [f'<g class="curve {look(curve.number, curve.level)}" data-family="{curve.number}">']
    if curve.level:
        (point,) = curve.points
        at = y.place(point.y.value)
        parts.append(f'<path class="level" d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT + 4}" y="{at - 5:.1f}">{escape(curve.name)}</text></g>')
        return "".join(parts)
    places = [(x.place(p.x), y.place(p.y.value)) for p in curve.points]
    if len(places) > 1:
        parts.append(f'<path d="M{" L".join(f"{a:.1f} {b:.1f}" for a, b in places)}"/>')
    for point, (a, b) in zip(curve.points, places, strict=True):
        top, bottom = y.place(point.y.high), y.place(point.y.low)
        parts.append(
            f'<path class="bar" d="M{a - CAP:.1f} {top:.1f}h{2 * CAP}M{a:.1f} {top:.1f}'
            f'V{bottom:.1f}M{a - CAP:.1f} {bottom:.1f}h{2 * CAP}"/>'
            f'<g class="dot" transform="translate({a:.1f} {b:.1f})">{marker(curve.number)}'
            f"<title>{escape(point.tip)}</title></g>"
        )
    return "".join([*parts, "</g>"])


def _labels(curves: Sequence[Curve], x: _Scale, y: _Scale) -> list[str]:
    """Each beside its point, where it hides no point and no label before it, if there is room."""
    found = [(c, p, x.place(p.x), y.place(p.y.value)) for c in curves for p in c.points if p.label]
    taken = [(a, b) for _, _, a, b in found]
    lines = []
    for curve, point, a, b in found:
        places = [(a + 22, b), (a - 22, b), (a + 22, b - 12), (a - 22, b + 12), (a + 22, b + 12)]
        free = [
            (u, v)
            for u, v in places
            if u < WIDTH - RIGHT and not any(abs(u - s) < 26 and abs(v - t) < 11 for s, t in taken)
        ]
        u, v = (free or places)[0]
        taken.append((u, v))
        lines.append(
            f'<text class="curve {look(curve.number)} mid" data-family="{curve.number}" '
            f'x="{u:.1f}" y="{v + 4:.1f}">{escape(point.label)}</text>'
        )
    return lines
