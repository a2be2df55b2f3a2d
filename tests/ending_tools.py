"""The command from outside, and what it leaves behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
needs_fifo = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
needs_posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")


def hidden(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.startswith(".")]


def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, check=False, **options
    )  # type: ignore[call-overload, no-any-return]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "audiodec", *map(str, arguments)]


def is_one_line(text: str) -> bool:
    return text.startswith("audiodec: error: ") and text.count("\n") == 1
