"""Which clips are scored, what a codec hears of each, and who speaks in it."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import soxr

from audiodec.arrays import Samples
from audiodec.audio_files.folder import list_folder
from audiodec.audio_files.reading import describe_audio, read_audio
from audiodec.errors import AudioError, ConfigError
from audiodec.evaluation.codecs import RATE
from audiodec.evaluation.quality.scores import LABELS

MAX_CLIP_S = 600  # seconds: metrics need memory in proportion


@dataclass(frozen=True)
class Clip:
    """One recording to be coded and scored.

    Attributes:
        name: unique in a run.
        path: of the recording that the decoded sound is scored against.
        noisy: what the codec hears instead, where denoising is measured.
        labels: what is known of it, by LABELS.
    """

    name: str
    path: Path
    noisy: Path | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    def digest(self) -> str:
        """Hash of the bytes of its files. Raises AudioError when one cannot be read."""
        total = hashlib.sha256()
        for path in filter(None, (self.path, self.noisy)):
            try:
                with path.open("rb") as file:
                    total.update(hashlib.file_digest(file, "sha256").digest())
            except OSError as error:
                raise AudioError(f"{path} cannot be read: {error.strerror}") from None
        return total.hexdigest()


def find_clips(sources: Sequence[Path], labels: Path | None = None) -> list[Clip]:
    """Find audio files, those below folders, and those that manifests (.csv) list.

    A manifest has a column `path`, relative to itself, and may have `noisy` and LABELS.

    Args:
        labels: a table (.csv) with a column `clip`, a file name without suffix, and LABELS.

    Raises:
        AudioError: there are none.
        ConfigError: a table cannot be read or lacks a column.
    """
    clips = [clip for source in sources for clip in _clips_of(source)]
    if not clips:
        raise AudioError(f"no audio files in {', '.join(map(str, sources))}")
    if labels is not None:
        table = {row["clip"]: _labels(row) for row in _rows(labels, "clip")}
        if not any(clip.name in table for clip in clips):
            raise ConfigError(f"{labels} names none of these clips in its column 'clip'")
        clips = [replace(c, labels={**c.labels, **table.get(c.name, {})}) for c in clips]
    count = Counter(clip.name for clip in clips)
    return [
        clip if count[clip.name] == 1 else replace(clip, name=clip.path.with_suffix("").as_posix())
        for clip in clips
    ]


def _clips_of(source: Path) -> Iterator[Clip]:
    if source.suffix.lower() == ".csv":
        for row in _rows(source, "path"):
            path, noisy = source.parent / row["path"], row.get("noisy")
            yield Clip(path.stem, path, source.parent / noisy if noisy else None, _labels(row))
    elif source.is_dir():
        for path in list_folder(source).files:
            yield Clip(path.stem, path)
    else:
        if source.exists() and not source.is_file():
            raise AudioError(f"{source} is no file; clips are read more than once")
        yield Clip(source.stem, source)


def _rows(table: Path, column: str) -> list[dict[str, str]]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = [{k: v for k, v in row.items() if k and v} for row in csv.DictReader(file)]
    except (OSError, ValueError, csv.Error) as error:
        raise ConfigError(f"{table} cannot be read: {error}") from None
    if not all(column in row for row in rows):
        raise ConfigError(f"{table} needs a column {column!r} that no row leaves empty")
    return rows


def _labels(row: Mapping[str, str]) -> dict[str, str]:
    return {label: row[label] for label in LABELS if label in row}


def read_clip(path: Path) -> Samples:
    """Read a clip at 48 kHz, mixed to mono.

    Raises:
        AudioError: it cannot be read, is empty, or longer than ten minutes.
    """
    if not 0 < describe_audio(str(path)).seconds <= MAX_CLIP_S:
        raise AudioError(f"{path} is empty or longer than {MAX_CLIP_S} s: cut it")
    sound = read_audio(str(path))
    return np.asarray(soxr.resample(sound.samples.mean(axis=1), sound.rate, RATE), np.float32)
