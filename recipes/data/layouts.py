"""Who speaks in which file: one function for each way in which sources say it."""

from __future__ import annotations

import csv
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from sound import SUFFIXES, read
from sources import Source

from audiodec.evaluation.metrics.pitch import RATE_HZ, track

HIGH = 165  # Hz of the median pitch, from which a voice is taken for the woman's


@dataclass(frozen=True)
class Clip:
    """A recording, who speaks in it, and what the source states of them (or nothing)."""

    path: Path
    speaker: str
    gender: str = ""
    language: str = ""


def find(source: Source, folder: Path) -> list[Clip]:
    """The clips of a source whose files lie below `folder`."""
    return sorted(LAYOUTS[source.layout](source, folder), key=lambda c: (c.speaker, c.path))


def _paths(source: Source, folder: Path) -> Iterator[Clip]:
    """The path names the speaker, or there is but one."""
    pattern = re.compile(source.files)
    for path in folder.rglob("*"):
        match = pattern.fullmatch(path.relative_to(folder).as_posix())
        if match and path.suffix.lower() in SUFFIXES:
            name = match.groupdict().get("speaker")
            speaker = f"{source.name}_{name}" if name else source.name
            yield Clip(path, speaker, source.gender, source.language)


def _kaldi(source: Source, folder: Path) -> Iterator[Clip]:
    """The path names the speaker, spk2gender the gender."""
    lines = [line for path in folder.rglob("spk2gender") for line in path.read_text().splitlines()]
    genders = dict(line.split() for line in lines)
    for clip in _paths(source, folder):
        yield Clip(clip.path, clip.speaker, _gender(genders[_last(clip)]), clip.language)


def _librispeech(source: Source, folder: Path) -> Iterator[Clip]:
    """The path names the speaker, SPEAKERS.TXT the gender."""
    (table,) = folder.rglob("SPEAKERS.TXT")
    rows = [row.split("|") for row in table.read_text().splitlines() if not row.startswith(";")]
    genders = {row[0].strip(): row[1].strip() for row in rows}
    for clip in _paths(source, folder):
        yield Clip(clip.path, clip.speaker, _gender(genders[_last(clip)]), clip.language)


def _commonvoice(source: Source, folder: Path) -> Iterator[Clip]:
    """Tables (not of what was voted down) name speaker and gender. Who also speaks in a language
    whose clips are not taken is kept apart with it."""
    rows: list[tuple[Path, dict[str, str]]] = []
    for table in (*folder.rglob("validated.tsv"), *folder.rglob("other.tsv")):
        with table.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                rows.append((table.parent / "clips" / row["path"], row))
    apart = {row["client_id"] for path, row in rows if not path.is_file()}
    for path, row in rows:
        if row["client_id"] not in apart:
            speaker = f"commonvoice_{row['client_id'][:16]}"
            yield Clip(path, speaker, _gender(row["gender"]), row["locale"])


def _svd(source: Source, folder: Path) -> Iterator[Clip]:
    """Archives by diagnosis, one phrase of each person in them."""
    seen: set[str] = set()
    for archive in sorted(folder.glob("*.zip")):
        with zipfile.ZipFile(archive) as files:
            for name in files.namelist():
                match = re.fullmatch(r"export/(\d+)-phrase\.wav", name)
                if match and match[1] not in seen:  # a person may have two diagnoses
                    seen.add(match[1])
                    path = folder / "phrases" / f"{match[1]}.wav"
                    path.parent.mkdir(exist_ok=True)
                    path.write_bytes(files.read(name))
                    yield Clip(path, f"{source.name}_{match[1]}", "", source.language)


def _pitch(source: Source, folder: Path) -> Iterator[Clip]:
    """A man and a woman whom nothing tells apart but their pitch."""
    for clip in _paths(source, folder):
        samples, rate = read(clip.path)
        pitch = track(soxr.resample(samples, rate, RATE_HZ), RATE_HZ)
        if np.any(pitch > 0):
            gender = "female" if np.median(pitch[pitch > 0]) >= HIGH else "male"
            yield Clip(clip.path, f"{source.name}_{gender}", gender, source.language)


def _last(clip: Clip) -> str:
    return clip.speaker.rsplit("_", 1)[1]


def _gender(text: str) -> str:
    """As the manifest and the model card say it; empty when it is not stated."""
    return {"m": "male", "f": "female"}.get(text.lower()[:1], "")


LAYOUTS: dict[str, Callable[[Source, Path], Iterator[Clip]]] = {
    "paths": _paths,
    "kaldi": _kaldi,
    "librispeech": _librispeech,
    "commonvoice": _commonvoice,
    "svd": _svd,
    "pitch": _pitch,
}
