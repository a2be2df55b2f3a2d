"""Corpora in their own layouts become manifests; rooms and noise become pairs."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiodec.errors import ConfigError
from audiodec.prepare.mixing import Mixer
from audiodec.training.data import Crops, find_clips
from audiodec.training.recipe import Data, Source
from tests.conftest import SPEECH


def speech_at(path: Path, rate: int = 48000) -> None:
    """A second of real speech."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, soundfile.read(SPEECH)[0][:rate], rate)


def prepare(*arguments: object) -> tuple[str, int]:
    command = [sys.executable, "-m", "audiodec", "prepare", *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    return run.stderr, run.returncode


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_vctk(tmp_path: Path) -> None:
    for speaker in ("p225", "p226", "p232", "p257"):
        for mic in (1, 2):
            base = tmp_path / "VCTK" / "wav48_silence_trimmed" / speaker
            speech_at(base / f"{speaker}_001_mic{mic}.flac")
    said, code = prepare("vctk", tmp_path / "VCTK", tmp_path / "m" / "vctk.csv")
    assert code == 0, said
    assert "missing: 106 of 110 speakers" in said
    found = rows(tmp_path / "m" / "vctk.csv")
    assert {(r["speaker"], r["split"]) for r in found} == {
        ("p225", "train"), ("p226", "valid"), ("p232", "test"), ("p257", "test")
    }  # fmt: skip
    assert len(found) == 4  # one microphone
    assert found[0]["rate"] == "48000"
    (clip,) = find_clips(Source(path=str(tmp_path / "m" / "vctk.csv")), 0.5)
    assert clip.path.resolve().name == "p225_001_mic1.flac"


def test_libritts(tmp_path: Path) -> None:
    for subset in ("train-clean-100", "dev-clean", "test-clean"):
        speech_at(tmp_path / "LibriTTS" / subset / "84" / "121550" / "84_121550_0.wav", 24000)
    said, code = prepare("libritts", tmp_path / "LibriTTS", tmp_path / "l.csv")
    assert code == 0, said
    assert {r["split"] for r in rows(tmp_path / "l.csv")} == {"train", "valid", "test"}
    assert "missing: subset train-other-500" in said


def test_voicebank_demand_pairs(tmp_path: Path) -> None:
    base = tmp_path / "vb"
    for kind in ("clean", "noisy"):
        for name in ("p226_001", "p227_001"):
            speech_at(base / f"{kind}_trainset_28spk_wav" / f"{name}.wav")
        speech_at(base / f"{kind}_testset_wav" / "p232_001.wav")
    speech_at(base / "clean_testset_wav" / "p257_001.wav")  # without its noisy twin
    said, code = prepare("voicebank-demand", base, tmp_path / "v.csv")
    assert code == 0, said
    found = {Path(r["path"]).stem: r for r in rows(tmp_path / "v.csv")}
    assert {name: r["split"] for name, r in found.items()} == {
        "p226_001": "valid", "p227_001": "train", "p232_001": "test"
    }  # fmt: skip
    assert found["p227_001"]["noisy"].endswith("noisy_trainset_28spk_wav/p227_001.wav")
    assert "823 of 824 pairs of testset" in said


def test_any_folder_damage_and_going_on(tmp_path: Path) -> None:
    for speaker in range(8):
        speech_at(tmp_path / "mine" / f"speaker{speaker}" / "a.wav")
    (tmp_path / "mine" / "speaker0" / "bad.wav").write_text("no audio")
    said, code = prepare("folder", tmp_path / "mine", tmp_path / "f.csv")
    assert code == 0, said
    assert "left out" in said
    assert "bad.wav" in said
    first = rows(tmp_path / "f.csv")
    assert len(first) == 8
    # A second run opens only what is new: a listed file of the same size is believed.
    listed = tmp_path / "mine" / "speaker1" / "a.wav"
    listed.write_bytes(b"\0" * listed.stat().st_size)
    speech_at(tmp_path / "mine" / "speaker9" / "b.wav")
    prepare("folder", tmp_path / "mine", tmp_path / "f.csv")
    assert len(rows(tmp_path / "f.csv")) == 9


@pytest.mark.parametrize("name", ["vctk", "libritts", "voicebank-demand", "folder"])
def test_the_wrong_folder_is_one_clear_line(name: str, tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "nowhere"):
        said, code = prepare(name, directory, tmp_path / "x.csv")
        assert code == 1
        assert said.startswith("audiodec: error: ")
        assert said.count("\n") == 1


def test_noise_is_mixed_at_the_chosen_level(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    (tmp_path / "noise").mkdir()
    soundfile.write(tmp_path / "noise" / "n.wav", random.normal(0, 0.01, 30_000), 16000)
    mixer = Mixer.of(48000, [tmp_path / "noise"], None, (7, 7), 0)
    clean = random.normal(0, 0.2, (2, 48000)).astype(np.float32)
    noise = mixer(clean, random) - clean
    assert 10 * np.log10((clean**2).mean() / (noise**2).mean()) == pytest.approx(7, abs=0.3)
    with pytest.raises(ConfigError, match="holds no"):
        Mixer.of(48000, [tmp_path / "nothing"], None, (0, 0), 0)


def test_rooms_and_mixed_pairs(tmp_path: Path) -> None:
    said, code = prepare("rooms", tmp_path / "rooms", "--count", 2)
    assert code == 0, said
    assert len(list((tmp_path / "rooms").glob("*.wav"))) == 2
    speech_at(tmp_path / "clean" / "a" / "x.wav")
    prepare("folder", tmp_path / "clean", tmp_path / "clean.csv")
    (tmp_path / "noise").mkdir()
    soundfile.write(
        tmp_path / "noise" / "n.wav", np.random.default_rng(0).normal(0, 0.1, 9000), 48000
    )
    options = ("--snr", 5, 5, "--rooms", tmp_path / "rooms", "--room-probability", 1)
    said, code = prepare(
        "mix", tmp_path / "clean.csv", tmp_path / "noise", tmp_path / "pairs", *options
    )
    assert code == 0, said
    (pair,) = rows(tmp_path / "pairs" / "manifest.csv")
    clean, noisy = (soundfile.read(tmp_path / "pairs" / pair[k])[0] for k in ("path", "noisy"))
    assert len(clean) == len(noisy) == 48000
    assert np.corrcoef(clean, noisy)[0, 1] < 0.99
    said, code = prepare("mix", tmp_path / "clean.csv", tmp_path / "noise", tmp_path / "pairs")
    assert code == 1
    assert "other settings" in said
    # The trainer draws both sides of a pair from the same place.
    source = Source(path=str(tmp_path / "pairs" / "manifest.csv"))
    data = Data(sources=(source,), batch=2, crop=0.2, speed_probability=0, lowpass_probability=0)
    batch = Crops(data, 48000, 320, 0)[0]
    assert batch.input.shape == batch.target.shape
    assert not np.allclose(batch.input, batch.target)
