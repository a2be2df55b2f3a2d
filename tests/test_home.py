"""Nothing is written outside the files that were named, and nobody is asked or told anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from tests.conftest import SPEECH

WATCH = """
import os, sys
def look(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        with open(os.environ["CALLS"], "a") as file:
            file.write(f"{event} {arguments}\\n")
sys.addaudithook(look)
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a recording, an empty home, and a Python that notes each network call."""
    samples, rate = soundfile.read(SPEECH)
    soundfile.write(tmp_path / "in.wav", samples, rate)
    for name in ("home", "watch"):
        (tmp_path / name).mkdir()
    (tmp_path / "watch" / "sitecustomize.py").write_text(WATCH)
    return tmp_path


def test_the_command_line_leaves_home_as_it_was(place: Path) -> None:
    home, calls = place / "home", place / "calls"
    outside = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "ORT_", "MPL"))}
    for command in (
        "audiodec encode in.wav a.adc",
        "audiodec info a.adc",
        "audiodec decode a.adc out.wav",
        "audiodec roundtrip in.wav again.wav",
        "audiodec models",
    ):
        run = subprocess.run(
            [sys.executable, "-m", *command.split()],
            cwd=place, capture_output=True, text=True, check=False,
            env=outside | {
                "HOME": str(home), "CALLS": str(calls), "PYTHONPATH": str(place / "watch"),
                "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1",
            },
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        assert not sorted(home.rglob("*")), command
        assert not calls.exists(), calls.read_text()


def test_who_wants_the_telemetry_of_onnxruntime_keeps_it() -> None:
    code = "import audiodec, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    for given, kept in (({}, "1"), ({"ORT_DISABLE_TELEMETRY": "0"}, "0")):
        outside = {k: v for k, v in os.environ.items() if not k.startswith("ORT_")}
        told = subprocess.check_output([sys.executable, "-c", code], text=True, env=outside | given)
        assert told.strip() == kept
