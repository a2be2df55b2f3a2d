"""The whole report as one HTML page that needs nothing else: no network, no other file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audiodec.errors import MissingExtraError
from audiodec.evaluation.metrics import ALL_METRICS
from audiodec.evaluation.quality import LABELS, Score, groups, summarise
from audiodec.evaluation.quality.summary import BOOTSTRAP_DRAWS
from audiodec.evaluation.quality.uncoded import UNCODED
from audiodec.evaluation.report.chart import look, marker
from audiodec.evaluation.report.figures import (
    COMMON_KBPS,
    families,
    latency_chart,
    rate_chart,
    settings,
)
from audiodec.evaluation.report.sounds import ClipSounds

HERE = Path(__file__).parent


def page(scores: Sequence[Score], about: Mapping[str, Any], clips: Sequence[ClipSounds]) -> str:
    """Write the report as HTML.

    Args:
        about: how the scores came about, as `audiodec bench quality` writes it.
        clips: shown as spectrograms, and playable where they hold audio.

    Raises:
        MissingExtraError: Jinja is not installed.
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError:
        raise MissingExtraError("the report", "bench") from None
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["bound"] = lambda v: "∞" if v is None else f"{v:g}"
    summary = summarise(scores)
    found = settings(scores, summary)
    metrics = list(dict.fromkeys(name for s in scores for name in s.values))
    return environment.get_template("page.html").render(
        about=about,
        clips=clips,
        codecs=found,
        common_rate=COMMON_KBPS,
        draws=BOOTSTRAP_DRAWS,
        families=families(found),
        groups=_grouped(scores),
        labels=_counts(scores),
        latency_charts={name: latency_chart(found, name) for name in metrics},
        look=look,
        marker=marker,
        metrics={name: ALL_METRICS.get(name) for name in metrics},
        rate_charts={name: rate_chart(found, name) for name in metrics},
        speakers_known=bool(groups(scores, "speaker")),
        script=(HERE / "page.js").read_text(encoding="utf-8"),
        uncoded=UNCODED,
        style=(HERE / "page.css").read_text(encoding="utf-8"),
    )


def _counts(scores: Sequence[Score]) -> dict[str, int]:
    """How many values each label has, where it is known of every clip."""
    known = [label for label in LABELS if all(label in s.labels for s in scores)]
    return {label: len(groups(scores, label)) for label in known}


def _grouped(scores: Sequence[Score]) -> dict[str, dict[str, Any]]:
    """Means by label, its value and codec, where clips differ in the label."""
    found = {label: groups(scores, label) for label in LABELS}
    return {
        label: {value: summarise(own) for value, own in values.items()}
        for label, values in found.items()
        if len(values) > 1
    }
