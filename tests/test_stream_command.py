"""`audiodec stream` and `bench live`: between files, through PortAudio, and mistakes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.conftest import SPEECH

pytestmark = pytest.mark.xdist_group("real time")  # one after another

RATE = 48000


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "audiodec", *map(str, arguments)]


def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        command(*arguments), capture_output=True, text=True, check=False, **options
    )


def test_stream_between_files(tmp_path: Path, speech: np.ndarray) -> None:
    result = run(
        "stream", "--input", SPEECH, "--output", tmp_path / "out.wav", "--bitrate", 6, "--json",
        "--dump-input", tmp_path / "heard.wav", "--dump-output", tmp_path / "sounded.wav",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    coded = figures["seconds"] + figures["skipped_ms"] / 1000 + figures["lost_ms"] / 1000
    assert coded == pytest.approx(len(speech) / RATE, abs=0.02)
    assert figures["kbps"] == pytest.approx(6)
    heard, _ = soundfile.read(tmp_path / "heard.wav", dtype="float32")
    np.testing.assert_allclose(heard[: len(speech)], speech, atol=1e-4)
    sounded, out = (
        soundfile.read(tmp_path / name, dtype="float32")[0] for name in ("sounded.wav", "out.wav")
    )
    assert np.array_equal(sounded, out)
    assert np.abs(out).max() > 0.05


def test_ctrl_c_ends_with_a_summary_and_whole_files(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 44100 * 60)
    soundfile.write(tmp_path / "noise.flac", np.stack([noise, noise], 1), 44100)
    process = subprocess.Popen(
        command("stream", "--input", "noise.flac", "--output", "out.flac", "--json"),
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while process.poll() is None and not list(tmp_path.glob(".audiodec-*")):
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert json.loads(output)["seconds"] < 30
    assert soundfile.info(tmp_path / "out.flac").samplerate == RATE
    assert sorted(p.name for p in tmp_path.iterdir()) == ["noise.flac", "out.flac"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--input", "missing.wav", "--output", "x.wav"), "missing.wav cannot be read"),
        (("--input", SPEECH, "--output", "x.wav", "--bitrate", 5), "choose 1.5, 3, 4.5"),
        (("--input", SPEECH, "--output", "no/x.wav"), "cannot be written"),
        (("--input", SPEECH, "--output", "x.wav", "--dump-input", "x.mp9"), "cannot be written"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(
    arguments: tuple[object, ...], words: str, tmp_path: Path
) -> None:
    result = run("stream", *arguments, cwd=tmp_path)
    assert result.returncode == 1
    assert words in result.stderr
    assert result.stderr.splitlines()[-1].startswith("audiodec: error: ")
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())


def test_bench_live_as_json() -> None:
    result = run("bench", "live", "--block", 64, "--processing", 0.5, "--json")
    assert result.returncode == 0, result.stderr
    (row,) = json.loads(result.stdout)["budget_ms"]
    assert row["block"] == 64
    assert row["network"] == row["jitter_buffer"] == 0
    assert row["mouth_to_ear"] <= row["limit"]


@pytest.fixture
def sound_server(tmp_path: Path) -> Iterator[dict[str, str]]:
    """PulseAudio with two loopbacks, `microphone` and `loudspeaker` to PortAudio; no sound card."""
    if not all(map(shutil.which, ("pulseaudio", "pactl", "paplay"))):
        pytest.skip("PulseAudio is not installed: apt install pulseaudio libasound2-plugins")
    try:
        import sounddevice  # noqa: F401
    except (ImportError, OSError):
        pytest.skip("no sounddevice or PortAudio: pip install sounddevice, apt libportaudio2")
    folder = tmp_path / "server"
    folder.mkdir(mode=0o700)
    (folder / ".asoundrc").write_text(
        'pcm.microphone { type pulse device "mic.monitor" }\n'
        'pcm.loudspeaker { type pulse device "ear" }\n'
    )
    names = ("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME")
    environment = {**os.environ, **dict.fromkeys(names, str(folder))}
    server = subprocess.Popen(
        ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
         "-L", "module-native-protocol-unix",
         "-L", "module-null-sink sink_name=mic rate=48000 channels=1",
         "-L", "module-null-sink sink_name=ear rate=48000 channels=1"],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(100):
            listed = subprocess.run(
                ["pactl", "list", "short", "sinks"],
                env=environment, capture_output=True, text=True, check=False,
            )  # fmt: skip
            if "ear" in listed.stdout:
                break
            time.sleep(0.1)
        else:
            pytest.skip("PulseAudio does not start here")
        yield environment
    finally:
        server.terminate()
        server.wait()


def test_stream_through_portaudio(sound_server: dict[str, str], tmp_path: Path) -> None:
    found = json.loads(run("devices", "--json", env=sound_server).stdout)
    if not {"microphone", "loudspeaker"} <= {device["name"] for device in found}:
        pytest.skip("ALSA has no PulseAudio plugin: apt install libasound2-plugins")
    assert "microphone" in run("devices", env=sound_server).stdout
    result = run("stream", "--input", "nothing like it", env=sound_server)
    assert result.returncode == 1
    assert "`audiodec devices` lists" in result.stderr
    soundfile.write(tmp_path / "long.wav", np.tile(soundfile.read(SPEECH)[0], 10), RATE)
    speaker = subprocess.Popen(["paplay", "-d", "mic", "long.wav"], env=sound_server, cwd=tmp_path)
    try:
        result = run(
            "stream", "--input", "microphone", "--output", "loudspeaker", "--seconds", 5,
            "--block", 480, "--dump-input", "heard.wav", "--dump-output", "sounded.wav", "--json",
            env=sound_server, cwd=tmp_path,
        )  # fmt: skip
    finally:
        speaker.terminate()
        speaker.wait()
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    assert json.loads(result.stdout)["seconds"] > 0
    for name in ("heard.wav", "sounded.wav"):
        samples, rate = soundfile.read(tmp_path / name)
        assert rate == RATE
        assert np.abs(samples).max() > 0.05, f"{name} is silent"
