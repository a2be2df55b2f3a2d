"""Names of sound files: which suffixes there are, and the one that means a pipe."""

from __future__ import annotations

import soundfile

PIPE = "-"
AUDIO_SUFFIXES = {f".{name.lower()}" for name in soundfile.available_formats()} - {".raw"} | {
    ".aif", ".aifc", ".bwf", ".oga", ".opus", ".snd",
}  # fmt: skip


def printable(name: str) -> str:
    """Write a name as one line of plain text: control characters and bytes that are no text
    escaped."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in name)
