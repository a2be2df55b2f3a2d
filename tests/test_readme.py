"""What the README says, done: its Python and its commands run as written."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from tests.conftest import SPEECH

README = (Path(__file__).parents[1] / "README.md").read_text()
QUICK = ["stages.0.steps=6", "quantization.start_latents=1100", "data.batch=2"]  # instead of hours


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    samples, rate = soundfile.read(SPEECH)
    soundfile.write(tmp_path / "speech.wav", samples, rate)
    (tmp_path / "my-recordings").mkdir()
    soundfile.write(tmp_path / "my-recordings" / "one.flac", samples, rate)
    return tmp_path


def test_python(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    names: dict[str, object] = {}
    for block in blocks("python"):
        exec(block, names)
    assert len(names["decoded"]) == len(names["samples"])  # type: ignore[arg-type]
    assert len(names["packet"]) == 10  # type: ignore[arg-type]


def test_commands(folder: Path) -> None:
    (recipe,) = blocks("yaml")
    (folder / "my.yaml").write_text(recipe)
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    assert len(lines) >= 8
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "audiodec"
        if arguments[0] == "train":
            arguments += QUICK
        command = [sys.executable, "-m", "audiodec", *arguments]
        run = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert run.returncode == 0, f"{line}\n{run.stderr}"
    for name in ("decoded.wav", "decoded.png", "mine.wav", "my-model/model.json"):
        assert (folder / name).is_file()


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (Path(__file__).parents[1] / target).exists(), target
