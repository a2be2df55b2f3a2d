"""The means as a Markdown table."""

from __future__ import annotations

from collections.abc import Sequence

from audiodec.evaluation.quality import Score, summarise


def markdown(scores: Sequence[Score]) -> str:
    """Write a row for each codec: measured kbps, and each metric with half its 95 % interval."""
    summary = summarise(scores)
    metrics = list(dict.fromkeys(name for s in scores for name in s.values))
    lines = [
        f"| codec | measured kbps | {' | '.join(metrics)} |",
        "|---|" + "---:|" * (1 + len(metrics)),
    ]
    for codec, means in summary.items():
        cells = [codec.replace("|", r"\|"), f"{means['kbps'].value:.2f}"]
        for metric in metrics:
            mean = means.get(metric)
            cells.append(f"{mean.value:.2f} {mean.plus_minus(2)}".strip() if mean else "-")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
