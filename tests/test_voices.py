"""recipes/data: training speech and validation clips from where they are published."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiodec.prepare.manifest import Recording, make_manifest
from audiodec.prepare.measure import bandwidth, snr
from audiodec.training.data import Crops
from audiodec.training.recipe import Data, Source

RECIPES = Path(__file__).parents[1] / "recipes"
VALIDATION = RECIPES / "data" / "validation.csv"


def noise(seconds: float, rate: int = 48000, top: float = 24000) -> np.ndarray:
    """White noise up to `top` Hz, with a pause in its middle fifth."""
    size = int(seconds * rate)
    spectrum = np.fft.rfft(np.random.default_rng(size).normal(0, 0.1, size))
    spectrum[int(top * seconds) :] = 0
    samples = np.fft.irfft(spectrum, size)
    middle, fade = np.full(size, 1.0), np.linspace(-6, 6, rate // 10)
    middle[2 * size // 5 : 3 * size // 5] = 1e-3
    soft = np.exp(-(fade**2)) / np.exp(-(fade**2)).sum()  # a hard edge would reach to the top
    return samples * np.convolve(middle, soft, "same")


def tone(path: Path, hertz: float, seconds: float, rate: int = 48000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.3 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)
    soundfile.write(path, wave, rate)
    return path


# Measures and drawing


@pytest.mark.parametrize("top", [3000, 7500, 11000, 16000])
def test_bandwidth_is_where_the_spectrum_ends(top: float) -> None:
    assert bandwidth(noise(2, top=top), 48000) == pytest.approx(top, abs=200)


def test_bandwidth_of_a_full_band_recording_is_half_its_rate() -> None:
    assert bandwidth(noise(2, 16000, 8000), 16000) == pytest.approx(8000, abs=100)


def test_snr_is_from_pauses_to_speech() -> None:
    assert snr(noise(2), 48000) == pytest.approx(60, abs=2)


@pytest.fixture
def two_speakers(tmp_path: Path) -> Path:
    """A manifest: ann says 2 s up to 24 kHz, ben ten times 6 s up to 8 kHz."""
    found = [Recording(tone(tmp_path / "a.wav", 300, 2), "ann", "train")] + [
        Recording(tone(tmp_path / f"b{i}.wav", 2000, 6), "ben", "train", bandwidth=8000)
        for i in range(10)
    ]
    make_manifest(found, tmp_path / "manifest.csv")
    return tmp_path / "manifest.csv"


def crops(manifest: Path, min_bandwidth: float = 0, **source: float) -> Crops:
    data = Data(
        sources=(Source(path=str(manifest), **source),),  # type: ignore[arg-type]
        batch=200, crop=0.05, speed_probability=0, lowpass_probability=0,
    )  # fmt: skip
    return Crops(data, 48000, 320, seed=0, min_bandwidth=min_bandwidth)


def test_speakers_are_drawn_equally_whatever_they_say(two_speakers: Path) -> None:
    batch = crops(two_speakers)[0]
    peak = np.abs(np.fft.rfft(batch.target[:, 0].numpy())).argmax(axis=1)
    ann = peak * 48000 / batch.target.shape[2] < 1000
    assert 0.4 < ann.mean() < 0.6
    assert set(batch.bandwidth[ann].tolist()) == {24000}
    assert np.allclose(batch.bandwidth[~ann], 0.93 * 8000)


def test_bandwidth_is_the_least_that_recipe_manifest_and_rate_say(two_speakers: Path) -> None:
    assert np.allclose(sorted({*crops(two_speakers, bandwidth=5000)[0].bandwidth.tolist()}), 4650)


def test_a_stage_draws_only_recordings_that_reach_its_bandwidth(two_speakers: Path) -> None:
    assert (crops(two_speakers, 11000)[0].bandwidth == 24000).all()


def test_an_older_manifest_without_bandwidths_is_believed_up_to_half_the_rate(
    two_speakers: Path,
) -> None:
    with two_speakers.open(newline="") as file:
        rows = [{k: v for k, v in r.items() if k != "bandwidth_hz"} for r in csv.DictReader(file)]
    with two_speakers.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    assert (crops(two_speakers)[0].bandwidth == 24000).all()


# Validation


def test_training_voices_too_much_like_a_validation_voice_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An embedding that is the pitch: 300 and 330 Hz are alike, 2000 Hz is not."""
    monkeypatch.syspath_prepend(str(RECIPES / "data"))
    import check_speakers

    def embedding(samples: np.ndarray, rate: int) -> np.ndarray:
        angle = np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples) / 1000
        return np.array([np.cos(angle), np.sin(angle)])

    train, validation = tmp_path / "train" / "source", tmp_path / "validation"
    found = [
        Recording(tone(train / f"{who}{i}.wav", hertz, 1), who, "train")
        for who, hertz in (("ann", 300), ("ben", 2000))
        for i in range(2)
    ]
    make_manifest(found, train / "manifest.csv")
    (train / "speakers.csv").write_text("speaker,gender,language\nann,,en\nben,,en\n")
    (tmp_path / "list.csv").write_text("speaker,language\ncleo,cy\n")
    tone(validation / "cleo" / "c.flac", 330, 1)
    monkeypatch.setattr(check_speakers, "embedding", embedding)
    monkeypatch.setattr(check_speakers, "LIST", tmp_path / "list.csv")
    places = {"train": train.parent, "validation": validation, "keep": tmp_path / "voices.npz"}
    monkeypatch.setattr("sys.argv", ["", *(f"--{k}={v}" for k, v in places.items())])
    for _ in range(2):  # computed, then from what is kept
        assert check_speakers.main() == 1
        said = capsys.readouterr().out
        assert "ann,cleo,1.000" in said
        assert "ben,cleo" not in said


def test_validation_list_is_large_and_mixed() -> None:
    with VALIDATION.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 150
    assert len({row["speaker"] for row in rows}) >= 60
    assert len({row["language"] for row in rows}) >= 15
    assert len({row["clip"] for row in rows}) == len(rows)
    sexes = Counter({row["speaker"]: row["gender"] for row in rows}.values())
    assert min(sexes["female"], sexes["male"]) >= 20
    old = [row for row in rows if row["group"] in ("tuxpaint", "ktuberling", "studio")]
    assert len(old) == 71
