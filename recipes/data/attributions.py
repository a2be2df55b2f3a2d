"""Whose voices they are: a table for the model card, from what was built."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

from sources import Source

from audiodec.prepare.manifest import read_manifest

COLUMNS = (
    "source", "from", "hours", "speakers", "women / men, where known", "languages",
    "bandwidth, kHz", "licence", "attribution",
)  # fmt: skip
FEW = 4  # languages that a line names; of more it tells the number


def write_attributions(table: list[Source], out: Path) -> None:
    """Write attributions.md: a line for every source that lies below `out`, then the sum."""
    built = [source for source in table if (out / source.name).is_dir()]
    hours = {s.name: _hours(out / s.name) for s in built}
    speakers = {s.name: _speakers(out / s.name) for s in built}
    everybody = {row["speaker"]: row for rows in speakers.values() for row in rows}
    languages = sorted({row["language"] for rows in speakers.values() for row in rows})
    lines = [
        COLUMNS,
        ["---"] * len(COLUMNS),
        *(_fields(s, out / s.name, hours[s.name], speakers[s.name]) for s in built),
    ]
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    text += f"\n{sum(hours.values()):.1f} hours of {len(everybody)} speakers"
    text += f" (women / men, where known: {_sexes([*everybody.values()])})"
    text += f" in {len(languages)} languages: {', '.join(languages)}.\n"
    out.mkdir(parents=True, exist_ok=True)
    (out / "attributions.md").write_text(text, encoding="utf-8")


def _fields(
    source: Source, folder: Path, hours: float, speakers: list[dict[str, str]]
) -> tuple[str, ...]:
    tops = [row.bandwidth_hz / 1000 for row in read_manifest(folder / "manifest.csv")]
    languages = sorted({speaker["language"] for speaker in speakers})
    return (
        source.name,
        source.origin.partition(":")[2].partition("@")[0],
        f"{hours:.2f}",
        str(len(speakers)),
        _sexes(speakers),
        ", ".join(languages) if len(languages) <= FEW else str(len(languages)),
        f"{min(tops):.3g}" if source.bandwidth else f"{min(tops):.3g} to {max(tops):.3g}",
        source.licence,
        source.attribution,
    )


def _hours(folder: Path) -> float:
    return sum(row.seconds for row in read_manifest(folder / "manifest.csv")) / 3600


def _speakers(folder: Path) -> list[dict[str, str]]:
    with (folder / "speakers.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _sexes(speakers: list[dict[str, str]]) -> str:
    count = Counter(speaker["gender"] for speaker in speakers)
    return f"{count['female']} / {count['male']}"
