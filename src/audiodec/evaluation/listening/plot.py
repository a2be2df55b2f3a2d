"""Means and intervals as a picture: a plain SVG."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from audiodec.evaluation.listening.analysis import Analysis

WIDTH, LEFT, RIGHT, TOP, ROW = 760, 240, 90, 92, 40  # px
LONGEST = 30  # letters of a name
STYLE = (
    "text{font:14px system-ui,'DejaVu Sans',sans-serif;fill:#1a1e25}"
    "text.title{font-size:17px;font-weight:600}text.value{font-weight:600}"
    "text.soft{fill:#5b6472;font-size:12px}"
    ".grid{stroke:#d9dde3}.interval{stroke:#1d5fd1;stroke-width:2.5}"
)


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
    """Mean and t interval of every system; in ABX the share of right answers of every pair."""
    scale = SCALES[analysis.method]
    rows = [(s.name, s.mean.value, s.mean.t) for s in analysis.systems]
    rows += [(f"{d.a} / {d.b}", d.share, d.exact) for d in analysis.discriminations]
    bottom = TOP + ROW * len(rows)

    def x(value: float) -> float:
        low, high = scale.ticks[0], scale.ticks[-1]
        share = (min(max(value, low), high) - low) / (high - low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 44}" role="img">',
        f"<title>{escape(analysis.title)}</title><style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{bottom + 44}" fill="#fff"/>',
        _text(20, 28, analysis.title, "title", "start"),
        _text(
            20, 48,
            f"{scale.subject} with 95 % interval, {len(analysis.listeners)} listeners, "
            f"{analysis.clips} clips", "soft", "start",
        ),
    ]  # fmt: skip
    for tick in scale.ticks:
        parts.append(_line(x(tick), TOP, x(tick), bottom, "grid"))
        parts.append(_text(x(tick), bottom + 20, f"{tick:g}", "soft", "middle"))
    for value, label in scale.labels.items():
        parts.append(_text(x(value), TOP - 8, label, "soft", "middle"))
    for number, (name, value, interval) in enumerate(rows):
        y = TOP + ROW * (number + 0.5)
        parts.append(_text(LEFT - 14, y + 5, _short(name), "", "end"))
        if interval:
            start, end = x(interval[0]), x(interval[1])
            parts.append(_line(start, y, end, y, "interval"))
            parts += [_line(at, y - 6, at, y + 6, "interval") for at in (start, end)]
        parts.append(f'<circle cx="{x(value):.1f}" cy="{y:.1f}" r="6" fill="#1d5fd1"/>')
        shown = f"{value:.{scale.decimals}f}"
        parts.append(_text(WIDTH - 20, y + 5, shown, "value", "end"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def _text(x: float, y: float, text: str, kind: str, anchor: str) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}"'
    return f"<text {place}>{escape(text)}</text>"


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
