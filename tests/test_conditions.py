"""Difficult input: every condition is what it is called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiodec.errors import ConfigError
from audiodec.evaluation.conditions import Condition, conditions
from audiodec.evaluation.metrics.pitch import track
from audiodec.evaluation.robustness import level

RATE = 48000


@pytest.fixture(scope="module")
def made(speech: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """Half a second of silence, speech and silence in every condition; noise is a tone of 5 kHz,
    music one of 1 kHz, the other talker the speech backwards."""
    folder = tmp_path_factory.mktemp("sounds")
    for name, pitch in (("noise", 5000), ("music", 1000)):
        (folder / name).mkdir()
        tone = 0.5 * np.sin(2 * np.pi * pitch * np.arange(5 * RATE) / RATE)
        soundfile.write(folder / name / "tone.flac", tone, RATE)
    clip = clip_of(speech)
    made = conditions(RATE, [clip, clip[::-1]], folder / "noise", folder / "music")
    return {name: heard(condition, clip) for name, condition in made.items()}


def clip_of(speech: np.ndarray) -> np.ndarray:
    return np.pad(speech, RATE // 2)


def heard(condition: Condition, clip: np.ndarray) -> np.ndarray:
    return condition(clip, RATE, np.random.default_rng(0))


def share(samples: np.ndarray, low: float, high: float) -> float:
    """Of the energy, between two frequencies."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    frequency = np.fft.rfftfreq(len(samples), 1 / RATE)
    return float(power[(frequency >= low) & (frequency < high)].sum() / power.sum())


def pitch(samples: np.ndarray) -> float:
    """Median over what is voiced."""
    f0 = track(samples, RATE)
    return float(np.median(f0[f0 > 0]))


def test_conditions_are_sound(made: dict[str, np.ndarray], speech: np.ndarray) -> None:
    for name, samples in made.items():
        assert samples.dtype == np.float32, name
        assert samples.shape == (len(speech) + 2 * (RATE // 2),), name
        assert np.abs(samples).max() <= 1, name  # and so all are finite


def test_conditions_can_be_made_again(speech: np.ndarray) -> None:
    one, other = (conditions(RATE, []) for _ in range(2))
    assert "two talkers" not in one
    assert "music" not in one
    for name, condition in one.items():
        assert np.array_equal(heard(condition, speech), heard(other[name], speech)), name


def test_levels(made: dict[str, np.ndarray]) -> None:
    clean = made["clean"]
    assert level(made["quiet (-40 dB)"]) == pytest.approx(level(clean) - 40, abs=0.01)
    assert np.abs(made["full scale"]).max() == 1
    clipped = made["clipped (12 dB over)"]
    assert np.abs(clipped).max() == 1
    assert (np.abs(clipped) == 1).sum() > 100
    assert level(made["noise of -80 dBFS"]) == pytest.approx(-80, abs=0.1)
    assert not made["silence"].any()
    assert (made["DC offset of 0.1"] - clean).mean() == pytest.approx(0.1, abs=1e-6)


def test_the_telephone_keeps_its_band(made: dict[str, np.ndarray]) -> None:
    telephone = made["telephone (G.711)"]
    assert share(telephone, 250, 3500) > 0.99
    assert share(telephone, 4500, RATE) < 1e-4
    assert np.corrcoef(telephone, made["clean"])[0, 1] > 0.7


def test_a_room_goes_on_sounding(made: dict[str, np.ndarray]) -> None:
    clean, room = made["clean"], made["in a room (simulated)"]
    assert level(clean[-RATE // 2 :]) < level(room[-RATE // 2 :]) < level(room) - 10


@pytest.mark.parametrize("snr", [5, 15])
def test_noise_has_its_level(made: dict[str, np.ndarray], snr: int) -> None:
    noisy, clean = made[f"noise, {snr} dB below"], made["clean"]
    gain = float(noisy @ clean / (clean @ clean))  # below 1 where the sum would clip
    noise = noisy - gain * clean
    assert level(gain * clean) - level(noise) == pytest.approx(snr, abs=0.3)
    assert share(noise, 4900, 5100) > 0.99


def test_both_talkers_are_heard(made: dict[str, np.ndarray]) -> None:
    clean, both = made["clean"], made["two talkers"]
    gain = both.max() / (clean + clean[::-1]).max()
    assert np.allclose(both, gain * (clean + clean[::-1]), atol=1e-4)


def test_a_whisper_has_no_pitch(made: dict[str, np.ndarray]) -> None:
    whisper = made["whisper (resynthesised)"]
    assert (track(made["clean"], RATE) > 0).mean() > 0.2
    assert (track(whisper, RATE) > 0).mean() < 0.02
    assert level(whisper) < level(made["clean"]) - 5


def test_a_shout_is_higher_brighter_and_louder(made: dict[str, np.ndarray]) -> None:
    clean, shout = made["clean"], made["shout (resynthesised)"]
    assert 1.4 < pitch(shout) / pitch(clean) < 1.8
    assert share(shout, 1500, 6000) > 1.5 * share(clean, 1500, 6000)
    assert level(shout) > level(clean)


def test_a_song_is_slow_high_and_has_vibrato(made: dict[str, np.ndarray]) -> None:
    clean, song = made["clean"], made["song (resynthesised)"]
    assert 1.1 < pitch(song) / pitch(clean[: len(clean) // 2]) < 1.6
    before, after = (np.flatnonzero(track(x, RATE)) for x in (clean, song))
    assert after[0] == pytest.approx(2 * before[0], abs=4)  # half the speed
    f0 = track(song, RATE)
    runs = np.split(f0, np.flatnonzero(f0 == 0))
    cents = 1200 * np.log2(max(runs, key=len)[1:])
    assert 30 < np.abs(cents - np.median(cents)).max() < 300


def test_music_comes_from_its_folder(made: dict[str, np.ndarray], tmp_path: Path) -> None:
    assert share(made["music"], 990, 1010) > 0.99
    with pytest.raises(ConfigError, match="holds no audio files"):
        conditions(RATE, [], music=tmp_path)
