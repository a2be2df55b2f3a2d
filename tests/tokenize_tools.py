"""Corpora of noise, the command, and what a run of it has left."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiodec.tokenization.reading import read_codes

pytest.importorskip("pyarrow", reason="needs the scale extra")


def make_corpus(folder: Path, count: int, seconds: float = 1, rate: int = 16000) -> Path:
    """Files of noise of different lengths."""
    random = np.random.default_rng(0)
    folder.mkdir()
    for number in range(count):
        samples = random.normal(0, 0.1, round(seconds * rate) + 37 * number)
        soundfile.write(folder / f"{number:03d}.wav", samples, rate)
    return folder


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False)


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "audiodec", "tokenize", *(str(a) for a in arguments)]


def numbers(out: Path, model: Path) -> list[int]:
    return sorted(row.number for row, _ in read_codes(out, model))


def states(out: Path) -> dict[str, tuple[int, int]]:
    """What tells whether a shard was written again."""
    return {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in out.glob("shard-*")}


def finished(out: Path) -> int:
    """Shards that the journal of a running command has."""
    path = out / "journal.jsonl"
    return path.read_bytes().count(b"\n") - 1 if path.exists() else 0


def wait_for_shards(process: subprocess.Popen[str], out: Path, count: int) -> None:
    while process.poll() is None and finished(out) < count:
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()
