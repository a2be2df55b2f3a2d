"""Quality, delay and rate over lost packets as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

from audiodec.audio_files.writing import write_whole
from audiodec.evaluation.quality import Score, groups, summarise

STYLES = (("#0072b2", "o"), ("#d55e00", "s"), ("#009e73", "^"))  # Okabe and Ito, 2008; and shapes


def draw(scores: Sequence[Score], path: Path) -> None:
    """Draw a panel for each metric, delay and rate, a curve for each codec; as SVG, PDF or PNG.

    Args:
        scores: of `evaluation.loss.measure`; its patterns are the x axis, in their order.

    Raises:
        AudioError: the file cannot be written.
    """
    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    patterns = list(dict.fromkeys(s.labels["group"] for s in scores))
    families = list(dict.fromkeys(s.family for s in scores))
    means = {name: summarise(own) for name, own in groups(scores, "group").items()}
    columns = [*dict.fromkeys(name for s in scores for name in s.values), "kbps"]
    figure, axes = plt.subplots(1, len(columns), figsize=(3 * len(columns), 3.2))
    for column, axis in zip(columns, axes, strict=True):
        for family, (colour, shape) in zip(families, STYLES, strict=False):
            found = [means[p][f"{p} {family}"].get(column) for p in patterns]
            points = [(x, mean) for x, mean in enumerate(found) if mean is not None]
            if points:
                x, y = [x for x, _ in points], [mean.value for _, mean in points]
                axis.plot(x, y, color=colour, marker=shape, label=family)
        axis.set_xticks(range(len(patterns)), patterns, rotation=30)
        axis.set_title(column)
        axis.grid(alpha=0.3)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="lower center", ncols=len(families))
    figure.tight_layout(rect=(0, 0.08, 1, 1))
    with write_whole(str(path)) as file:
        figure.savefig(file, format=path.suffix.lstrip(".") or "svg")
    plt.close(figure)
