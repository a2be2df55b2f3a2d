"""Names of sound files: which suffixes there are, and the one that means a pipe."""

from __future__ import annotations

import soundfile

PIPE = "-"
AUDIO_SUFFIXES = {f".{name.lower()}" for name in soundfile.available_formats()} | {
    ".aif", ".oga", ".opus"
}  # fmt: skip
