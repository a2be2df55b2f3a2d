"""The sound files of a folder: one answer for every command that takes a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from audiodec.audio_files.names import AUDIO_SUFFIXES, printable

APPLE_DOUBLE = "._"  # begins the names of files in which macOS keeps what other systems cannot
HEADERLESS = ".raw"


@dataclass
class Listing:
    """Files below a folder.

    Attributes:
        files: in order of their names.
        left_out: lines that say what was passed over, and why.
    """

    files: list[Path] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def pass_over(self, path: str | Path, reason: str) -> None:
        """Note a path that is left out, and the reason."""
        self.left_out.append(f"{printable(str(path))}: {reason}")


def list_folder(folder: Path, suffixes: set[str] = AUDIO_SUFFIXES) -> Listing:
    """List all files below a folder with one of these suffixes (lower case, with dot).

    Links to folders are followed, but no folder is entered twice.
    """
    listing = Listing()
    entered: set[tuple[int, int]] = set()
    links: list[Path] = []

    def enter(top: Path) -> None:
        for at, folders, names in os.walk(top, onerror=refused):
            status = os.stat(at)
            if (status.st_dev, status.st_ino) in entered:
                listing.pass_over(at, "is listed already under another name")
                folders.clear()
                continue
            entered.add((status.st_dev, status.st_ino))
            links.extend(Path(at, name) for name in folders if os.path.islink(Path(at, name)))
            for name in names:
                _take(Path(at, name), suffixes, listing)

    def refused(error: OSError) -> None:
        listing.pass_over(error.filename, f"cannot be read: {error.strerror}")

    enter(folder)
    while links:  # after the folders themselves, so that these keep their own names
        links.sort(reverse=True)
        enter(links.pop())
    listing.files.sort()
    return listing


def _take(path: Path, suffixes: set[str], listing: Listing) -> None:
    suffix = path.suffix.lower()
    if path.name.startswith(APPLE_DOUBLE):
        return
    if suffix == HEADERLESS and suffixes is AUDIO_SUFFIXES:
        listing.pass_over(path, "has no header that says what its samples are")
    elif suffix in suffixes:
        if path.is_file():
            listing.files.append(path)
        else:
            listing.pass_over(path, "is no file" if path.exists() else "is a link to nothing")
