"""What commands print on a terminal of 80 columns: no line is longer, and no name is cut."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from pathlib import Path

import pytest
import soundfile
from typer.main import get_command
from typer.testing import CliRunner

from audiodec.cli.main import app
from audiodec.sound.portaudio import DeviceInfo
from tests.conftest import SPEECH

COLUMNS = 80
LONG = "a recording of somebody who reads a story"
Say = Callable[..., str]


@pytest.fixture
def say(tmp_path: Path, small_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Say:
    """Runs a command beside `in.wav`, 1.5 s of speech, and gives what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    samples, rate = soundfile.read(SPEECH)
    soundfile.write("in.wav", samples[rate // 2 : 2 * rate], rate)
    (tmp_path / "small").symlink_to(small_folder)

    def run(*words: str) -> str:
        result = CliRunner().invoke(app, words, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        assert result.output
        return result.output

    return run


def fits(text: str) -> bool:
    too_long = [line for line in text.splitlines() if len(line) > COLUMNS]
    assert not too_long
    assert "…" not in text
    return True


@pytest.mark.parametrize(
    "command",
    [
        "models",
        "roundtrip in.wav out.wav",
        "stream --input in.wav --output heard.wav --seconds 1",
        "bench latency --windows 10 --model small",
        "bench live --model small --processing 0.5",
        "bench codebooks in.wav --model small",
        pytest.param("bench streams --ticks 100 --model small", marks=pytest.mark.slow),
        pytest.param(
            "bench speed --rounds 3 --codec small --codec opus-fullband --bitrate 6 --bitrate 12",
            marks=pytest.mark.slow,
        ),
        pytest.param("bench robustness in.wav --model small", marks=pytest.mark.slow),
        pytest.param("bench loss in.wav --loss 0.1 --metric ESTOI", marks=pytest.mark.slow),
    ],
)
def test_commands_fit_a_terminal(say: Say, command: str) -> None:
    assert fits(say(*command.split()))


@pytest.mark.slow
def test_scores_known_already_fit_with_every_metric_that_needs_no_model(say: Say) -> None:
    command = "bench quality in.wav --out scores --codec ours --codec opus --codec opus-fullband"
    metrics = ["ESTOI", "STOI", "mel distance", "SNR dB", "SI-SDR", "MCD", "LSD"]
    words = command.split() + [word for name in metrics for word in ("--metric", name)]
    first, again = say(*words), say(*words)
    assert fits(first)
    assert fits(again)
    assert first.partition("1 clips")[2] == again.partition("1 clips")[2]
    for word in ("AudioDec speech-48k-7 12", "fullband 12", *" ".join(metrics).split()):
        assert word in first


def test_files_fit_a_terminal(say: Say) -> None:
    CliRunner().invoke(app, ["encode", "in.wav", "a.adc"], catch_exceptions=False)
    assert fits(say("info", "a.adc"))


def test_sound_devices_with_long_names_fit(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [LONG, "Built-in Audio Analog Stereo (alsa_input.pci-0000_00_1f.3.analog-stereo)"]
    found = [
        DeviceInfo(n, name, "ALSA", 2, 32, ("input",), 48000.0) for n, name in enumerate(names)
    ]
    monkeypatch.setattr("audiodec.sound.portaudio.list_devices", lambda: found)
    assert fits(text := say("devices"))
    assert all(word in text for name in names for word in name.split()[:2])


def commands(group: object, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command and group of commands, as a user writes it."""
    below = getattr(group, "commands", {})
    return [before, *(c for name, one in below.items() for c in commands(one, (*before, name)))]


@pytest.mark.parametrize("words", commands(get_command(app)), ids=" ".join)
def test_help_fits_a_terminal(say: Say, words: tuple[str, ...]) -> None:
    assert fits(say(*words, "--help"))
    command = reduce(lambda group, name: group.commands[name], words, get_command(app))
    summary = (command.help or "").split("\n\n")[0].strip()
    assert "\n" not in summary  # it would break the line in the list of commands, too
