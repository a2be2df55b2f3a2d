"""What to tokenise: a manifest of `audiodec prepare`, a folder, or a text file of paths."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from audiodec.audio_files.folder import list_folder
from audiodec.errors import ConfigError
from audiodec.prepare.manifest import read_manifest


@dataclass(frozen=True)
class File:
    """One file to tokenise.

    Attributes:
        number: its place in the list, from 0: its identity, as a list may name a path twice.
        path: as the list has it, relative to the list or folder.
        speaker, split: as the manifest has them, else empty.
        location: absolute path, the same on every worker.
    """

    number: int
    path: str
    speaker: str
    split: str
    location: str


def read_list(source: Path) -> tuple[list[File], list[str]]:
    """Read the files of a manifest (.csv), of a folder (all audio below it) or of a text file that
    names one per line; and what of a folder is passed over, a line each.

    Raises:
        ConfigError: it cannot be read, or lists nothing.
    """
    base = (source if source.is_dir() else source.parent).resolve()
    left_out: list[str] = []
    files = [
        File(number, path, speaker, split, str(base / path))
        for number, (path, speaker, split) in enumerate(_entries(source, left_out))
    ]
    if not files:
        raise ConfigError(f"{source} lists no audio file")
    for file in files:
        if not _is_text(file.path):
            raise ConfigError(f"{file.path!r} is not UTF-8: rename the file")
    return files, left_out


def _is_text(path: str) -> bool:
    """Tell whether a file name is text; Parquet and JSON could not hold other bytes."""
    try:
        return bool(path.encode("utf-8"))
    except UnicodeEncodeError:
        return False


def _entries(source: Path, left_out: list[str]) -> Iterator[tuple[str, str, str]]:
    """(path, speaker, split) of each file."""
    if source.is_dir():
        listing = list_folder(source)
        for path in listing.files:
            if _is_text(str(path)):
                yield str(path.relative_to(source)), "", ""
            else:
                listing.pass_over(path, "is not UTF-8: rename the file")
        left_out += listing.left_out
        return
    try:
        if source.suffix.lower() == ".csv":
            for row in read_manifest(source):
                yield row.path, row.speaker, row.split
            return
        for line in source.read_text(encoding="utf-8-sig").splitlines():
            if line.strip():
                yield line.strip(), "", ""
    except (OSError, ValueError, csv.Error) as error:
        raise ConfigError(
            f"{source} cannot be read as a list of files: {error}; give a manifest (.csv), "
            "a folder, or a text file with one path per line"
        ) from None


def list_hash(files: Sequence[File]) -> str:
    """Hash what the list says (SHA-256), by which a later run knows it is the same."""
    digest = hashlib.sha256()
    for file in files:
        digest.update("\0".join((file.path, file.speaker, file.split, "\n")).encode("utf-8"))
    return digest.hexdigest()
