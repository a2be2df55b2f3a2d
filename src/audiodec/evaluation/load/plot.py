"""A load test as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

from audiodec.audio_files.writing import write_whole
from audiodec.evaluation.load.ramp import Step
from audiodec.evaluation.load.soak import Look

BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"  # Okabe and Ito, 2008


def draw(steps: Sequence[Step], looks: Sequence[Look], deadline: float, path: Path) -> None:
    """Draw latency and CPU over clients, and memory and latency over minutes; as SVG, PDF or PNG.

    Raises:
        AudioError: the file cannot be written.
    """
    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    count = bool(steps) + bool(looks)
    figure, axes = plt.subplots(1, count, figsize=(5.5 * count, 3.6), squeeze=False)
    if steps:
        x = [float(step.clients) for step in steps]
        axis = axes[0, 0]
        axis.plot(x, [step.p50 for step in steps], color=BLUE, marker="o", label="median")
        axis.plot(x, [step.p99 for step in steps], color=ORANGE, marker="s", label="p99")
        axis.axhline(deadline, color="grey", linestyle="--", label="deadline")
        axis.set(xlabel="streams", ylabel="ms from last sample to answer", yscale="log")
        _beside(axis, x, [step.cores for step in steps], "cores of CPU", "^")
    if looks:
        x = [look.seconds / 60 for look in looks]
        axis = axes[0, -1]
        axis.plot(x, [look.p99 for look in looks], color=ORANGE, label="p99, 5 s each")
        axis.axhline(deadline, color="grey", linestyle="--", label="deadline")
        axis.set(xlabel="minutes", ylabel="ms", yscale="log")
        _beside(axis, x, [look.memory for look in looks], "memory, MB", None)
    figure.tight_layout()
    with write_whole(str(path)) as file:
        figure.savefig(file, format=path.suffix.lstrip(".") or "svg")
    plt.close(figure)


def _beside(axis: Any, x: Sequence[float], y: Sequence[float], name: str, shape: Any) -> None:
    """Draw a second quantity, from zero, with an axis of its own; name all above the panel."""
    other = axis.twinx()
    other.plot(x, y, color=GREEN, marker=shape, label=name)
    other.set(ylabel=name, ylim=(0, 1.3 * max(y)))
    lines = [*axis.get_lines(), *other.get_lines()]
    names = [line.get_label() for line in lines]
    axis.legend(
        lines, names, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, fontsize="small"
    )
    axis.grid(alpha=0.3)
