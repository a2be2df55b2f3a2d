"""Whose voices they are: a table for the model card, from what was built."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

from sources import Source

from audiodec.prepare.manifest import read_manifest

COLUMNS = (
    "source", "from", "hours", "speakers", "women / men, where stated", "languages",
    "bandwidth, kHz", "licence", "attribution",
)  # fmt: skip


def write_attributions(table: list[Source], out: Path) -> None:
    """Write attributions.md: a line for every source that lies below `out`."""
    built = [source for source in table if (out / source.name).is_dir()]
    lines = [COLUMNS, ["---"] * len(COLUMNS), *(_fields(s, out / s.name) for s in built)]
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    out.mkdir(parents=True, exist_ok=True)
    (out / "attributions.md").write_text(text, encoding="utf-8")


def _fields(source: Source, folder: Path) -> tuple[str, ...]:
    rows = read_manifest(folder / "manifest.csv")
    with (folder / "speakers.csv").open(newline="", encoding="utf-8") as file:
        speakers = list(csv.DictReader(file))
    sexes = Counter(speaker["gender"] for speaker in speakers)
    languages = sorted({speaker["language"] for speaker in speakers})
    low, high = (round(f(row.bandwidth_hz for row in rows) / 1000, 1) for f in (min, max))
    return (
        source.name,
        source.origin.partition(":")[2].partition("@")[0],
        f"{sum(row.seconds for row in rows) / 3600:.2f}",
        str(len(speakers)),
        f"{sexes['female']} / {sexes['male']}",
        ", ".join(languages) if len(languages) < 5 else f"{len(languages)}",
        f"{low:g}" if low == high else f"{low:g} to {high:g}",
        source.licence,
        source.attribution,
    )
