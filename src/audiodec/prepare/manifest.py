"""A corpus as a list: path, speaker, length, rate, split and bandwidth of every recording, as CSV.

Paths are relative to the manifest. Files that a manifest already lists with the same size are not
opened again, so an interrupted or repeated preparation goes on where it was.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from audiodec.audio_files.names import printable
from audiodec.audio_files.reading import describe_audio
from audiodec.audio_files.writing import write_whole
from audiodec.errors import AudioDecError, ConfigError

SAVE_EVERY_FILES = 2000  # files


@dataclass(frozen=True)
class Recording:
    """One file of a corpus as its layout tells it.

    Attributes:
        noisy: the same speech with noise, or None.
        bandwidth: Hz up to which it holds real sound, if that is less than half its rate.
    """

    path: Path
    speaker: str
    split: str  # train, valid or test
    noisy: Path | None = None
    bandwidth: float = math.inf


@dataclass(frozen=True)
class Row:
    """One line of a manifest."""

    path: str
    speaker: str
    split: str
    seconds: float
    frames: int  # samples per channel
    rate: int  # Hz
    channels: int
    bytes: int
    noisy: str = ""
    bandwidth_hz: float = math.inf


@dataclass
class Problems:
    """What is wrong with the files of a corpus, a line each.

    Attributes:
        left_out: files that are not in the manifest.
        warnings: files that are, with less in them than they claim.
        missing_seconds: that these should hold but do not.
    """

    left_out: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    missing_seconds: float = 0.0


def read_manifest(path: Path) -> list[Row]:
    """Read a manifest. Raises ConfigError when it is none."""
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            return [
                Row(
                    r["path"], r["speaker"], r["split"], float(r["seconds"]), int(r["frames"]),
                    int(r["rate"]), int(r["channels"]), int(r["bytes"]), r["noisy"],
                    float(r.get("bandwidth_hz", math.inf)),
                )
                for r in csv.DictReader(file)
            ]  # fmt: skip
    except (OSError, KeyError, ValueError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else repr(error)
        raise ConfigError(f"{path} is no manifest of audiodec prepare: {reason}") from None


def write_manifest(rows: list[Row], path: Path) -> None:
    """Replace the manifest whole."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [field.name for field in fields(Row)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    with write_whole(str(path)) as file:
        file.write(text.getvalue().encode(errors="surrogateescape"))


def make_manifest(
    recordings: Iterable[Recording],
    out: Path,
    progress: Callable[[], None] = lambda: None,
) -> tuple[list[Row], Problems]:
    """Open every recording and write the manifest, now and then and at the end.

    Returns:
        the rows, and what is wrong with files: those left out, and those with less in them than
        they claim.
    """
    known = {row.path: row for row in read_manifest(out)} if out.exists() else {}
    rows: list[Row] = []
    problems = Problems()
    out.parent.mkdir(parents=True, exist_ok=True)
    for number, recording in enumerate(recordings, start=1):
        try:
            rows.append(_row(recording, out.parent, known, problems))
        except (OSError, AudioDecError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            problems.left_out.append(f"{printable(str(recording.path))}: {reason}")
        progress()
        if number % SAVE_EVERY_FILES == 0:
            rest = known.keys() - {row.path for row in rows}
            write_manifest(rows + [known[path] for path in sorted(rest)], out)
    write_manifest(rows, out)
    return rows, problems


def _row(recording: Recording, base: Path, known: dict[str, Row], problems: Problems) -> Row:
    path = os.path.relpath(recording.path, base)
    noisy = os.path.relpath(recording.noisy, base) if recording.noisy else ""
    size = recording.path.stat().st_size
    old = known.get(path)
    if old is not None and old.bytes == size:
        bandwidth = min(recording.bandwidth, old.rate / 2)
        return replace(
            old, speaker=recording.speaker, split=recording.split, noisy=noisy,
            bandwidth_hz=bandwidth,
        )  # fmt: skip
    facts = describe_audio(str(recording.path))
    if not facts.samples:
        raise ValueError("holds no audio")
    problems.warnings += facts.warnings
    problems.missing_seconds += facts.missing_seconds
    if recording.noisy is not None:
        other = describe_audio(str(recording.noisy))
        problems.warnings += other.warnings
        if other.samples != facts.samples:
            raise ValueError("its noisy version has another length")
    return Row(
        path, recording.speaker, recording.split, round(facts.seconds, 3), facts.samples,
        facts.rate, facts.channels, size, noisy, min(recording.bandwidth, facts.rate / 2),
    )  # fmt: skip
