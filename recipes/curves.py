"""Draw a model's training: what its runs logged, one after the other.

    pip install '.[bench,train]'
    python recipes/curves.py docs/training-curves.csv docs/training-curves.svg --add 7 runs/leg7

The table (leg, step, name, value) outlives the run folders; `--add` takes a run's logs into it.
"""

from __future__ import annotations

import argparse
import csv
import io
from itertools import groupby
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt

from audiodec.audio_files.writing import write_whole

FIELDS = ("leg", "step", "name", "value")
PANELS = {  # name in the logs: title
    "validation/PESQ-WB": "PESQ-WB, unseen speakers",
    "validation/ESTOI": "ESTOI, unseen speakers",
    "loss/mel": "mel loss, training",
    "perplexity/codebook 1": "perplexity of codebook 1, 720 frames a batch",
}
POINTS = 60  # of a curve and leg: what a picture can show
Row = tuple[str, int, str, float]


def logged(leg: str, run: Path) -> list[Row]:
    """A run's curves, thinned out by means over equal stretches."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run), size_guidance={"scalars": 0})
    events.Reload()
    rows: list[Row] = []
    for name in PANELS:
        points = events.Scalars(name)
        every = -(-len(points) // POINTS)
        for i in range(0, len(points), every):
            some = points[i : i + every]
            rows.append((leg, some[-1].step, name, sum(p.value for p in some) / len(some)))
    return rows


def draw(rows: list[Row], picture: Path) -> None:
    """One panel a curve; legs one after the other along the steps of them all."""
    matplotlib.rcParams["svg.hashsalt"] = "audiodec"  # the same rows, the same file
    figure, axes = plt.subplots(2, 2, figsize=(9, 5.5), layout="constrained")
    offset, ends = 0, {}
    for leg, points in groupby(rows, key=lambda row: row[0]):
        ends[leg] = (offset, offset := offset + max(row[1] for row in points))
    for axis, (name, title) in zip(axes.flat, PANELS.items(), strict=True):
        for i, (leg, (start, _)) in enumerate(ends.items()):
            curve = [(start + r[1], r[3]) for r in rows if (r[0], r[2]) == (leg, name)]
            if curve:
                x, y = zip(*sorted(curve), strict=True)
                axis.plot(x, y, color=f"C{i}", marker=".", markersize=3, label=leg)
        for start, _ in ends.values():
            axis.axvline(start, color="grey", linewidth=0.5)
        axis.set_title(title, fontsize=10)
        axis.xaxis.set_major_formatter(lambda x, _: f"{x / 1000:g}k")
    legs = axes[0, 0].get_legend_handles_labels()  # earlier legs have no curve of every kind
    figure.legend(*legs, title="leg", fontsize=8, title_fontsize=8, loc="outside right upper")
    figure.supxlabel("steps", fontsize=9)
    figure.savefig(picture, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path, help="CSV of the curves")
    parser.add_argument("picture", type=Path, help="SVG or PNG to write")
    parser.add_argument("--add", nargs=2, action="append", default=[], metavar=("LEG", "RUN"))
    options = parser.parse_args()
    rows: list[Row] = []
    if options.table.exists():
        with options.table.open(newline="", encoding="utf-8") as file:
            table = csv.DictReader(file)
            rows = [(r["leg"], int(r["step"]), r["name"], float(r["value"])) for r in table]
    for leg, run in options.add:
        if not Path(run).is_dir():
            parser.error(f"there is no run folder {run}")
        try:
            rows = [row for row in rows if row[0] != leg] + logged(leg, Path(run))
        except KeyError:
            parser.error(f"{run} has not logged its curves yet: let it reach its first validation")
    with write_whole(str(options.table)) as out, io.TextIOWrapper(out, "utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIELDS)
        writer.writerows((leg, step, name, f"{value:.4g}") for leg, step, name, value in rows)
    draw(rows, options.picture)


if __name__ == "__main__":
    main()
