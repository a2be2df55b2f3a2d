"""The command line as a person meets it: results, pictures, and errors of one line."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from tests.conftest import SPEECH


def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "audiodec", *(str(a) for a in arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload, no-any-return]


def test_roundtrip_reports_and_draws(tmp_path: Path) -> None:
    result = run("roundtrip", SPEECH, tmp_path / "out.wav", "--bitrate", 6)
    assert result.returncode == 0, result.stderr
    for word in ("6.00 kbps", "6.67 ms", "real-time factor", "PESQ-WB", "ESTOI", "ViSQOL-audio"):
        assert word in result.stderr
    assert soundfile.info(tmp_path / "out.wav").frames == soundfile.info(SPEECH).frames
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.width > 800
        assert len(set(picture.convert("L").get_flattened_data())) > 50  # not blank


def test_encode_info_decode(tmp_path: Path) -> None:
    packed = tmp_path / "x.adc"
    assert run("encode", SPEECH, packed, "--bitrate", 3).returncode == 0
    facts = json.loads(run("info", packed, "--json").stdout)
    assert facts["samples"] == soundfile.info(SPEECH).frames
    assert (facts["codebooks"], facts["kbps_per_stream"], facts["truncated"]) == (2, 3.0, False)
    assert facts["total_bytes"] == packed.stat().st_size
    assert "speech-48k" in run("info", packed).stdout
    assert run("decode", packed, tmp_path / "out.flac").returncode == 0
    packed.write_bytes(packed.read_bytes()[:-20])
    result = run("decode", packed, tmp_path / "out.flac")
    assert result.returncode == 0
    assert "truncated" in result.stderr


def test_folders_keep_their_tree_and_report_what_failed(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name in ("a.wav", "deep/b.flac"):
        soundfile.write(tmp_path / "in" / name, np.zeros(5000), 16000)
    (tmp_path / "in" / "bad.wav").write_text("no audio")
    result = run("encode", tmp_path / "in", tmp_path / "out")
    assert result.returncode == 1
    assert "1 of 3 files could not be coded" in result.stderr
    assert result.stderr.count("bad.wav") == 1
    assert (tmp_path / "out" / "deep" / "b.adc").is_file()
    (tmp_path / "out" / "bad.adc").write_text("no speech")
    shutil.copy(tmp_path / "out" / "a.adc", tmp_path / "out" / "\033[31m.adc")
    result = run("decode", tmp_path / "out", tmp_path / "back")
    assert result.returncode == 1
    assert "1 of 4 files could not be decoded" in result.stderr
    assert result.stderr.count("bad.adc") == 1
    assert r"\x1b[31m.wav" in result.stderr
    assert "\033" not in result.stderr
    assert soundfile.info(tmp_path / "back" / "a.wav").frames == 5000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("encode", "missing.wav", "x.adc"), "missing.wav cannot be read"),
        (("encode", SPEECH, "x.adc", "--bitrate", 5), "choose 1.5, 3, 4.5"),
        (
            ("encode", SPEECH, "x.adc", "--beam-width", 1000),
            "beam_width must be a whole number, 1 to 64",
        ),
        (("encode", SPEECH, "x.adc", "--model", "no"), "no model 'no'"),
        (("decode", SPEECH, "x.wav"), "not an .adc file"),
        (("info", "missing.adc"), "cannot be read"),
        (("train",), "give a recipe"),
        (("train", "missing.yaml"), "missing.yaml cannot be read"),
        (("train", "--resume", "nowhere"), "nowhere is not a run"),
        (("export", "nowhere", "out"), "nowhere"),
        (("encode", SPEECH, "."), "is a folder"),
        (("roundtrip", "-", "x.wav"), "needs files"),
        (("bench", "quality", SPEECH, "--out", f"{SPEECH}/scores"), "cannot be written"),
    ],
)
def test_errors_are_one_clear_line(
    arguments: tuple[object, ...], words: str, tmp_path: Path
) -> None:
    result = run(*arguments, cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith("audiodec: error: ")
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_models_and_latency_as_json() -> None:
    listed = json.loads(run("models", "--json").stdout)
    assert listed["name"] == "speech-48k"
    assert listed["default"] is True
    assert listed["bitrates_kbps"] == [1.5 * n for n in range(1, 9)]
    command = ("bench", "latency", "--windows", 10, "--device", "cpu", "--json")
    result = json.loads(run(*command).stdout)
    rows = result["windows_ms"]
    assert result["device"] == "cpu"
    assert len(result["eager_windows_ms"]) == len(rows)
    assert [round(row["length"], 2) for row in rows] == [6.67, 13.33, 26.67, 53.33, 106.67]
    assert all(
        row["algorithmic"] + row["buffering"] == pytest.approx(row["length"]) for row in rows
    )
    for row in rows:
        assert 0 < row["encode"]["median"] <= row["encode"]["p99"]
        assert 0 < row["decode"]["median"] <= row["decode"]["p99"]


def test_ctrl_c_leaves_no_half_written_file(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 48000 * 60)
    soundfile.write(tmp_path / "long.flac", np.tile(noise, 20), 48000)
    command = [sys.executable, "-m", "audiodec", "encode", "long.flac", "long.adc"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not list(tmp_path.glob(".audiodec-*")):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "Traceback" not in errors
    assert [p.name for p in tmp_path.iterdir()] == ["long.flac"]
