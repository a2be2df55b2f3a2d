"""Difficult input: the conditions are what they are called, and the codec keeps its promises."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import audiodec
from audiodec.errors import AudioError, ConfigError
from audiodec.evaluation.conditions import Condition, conditions
from audiodec.evaluation.metrics.pitch import track
from audiodec.evaluation.robustness import Heard, broken_promises, level, summarise
from audiodec.realtime.loop import LiveLoop
from audiodec.realtime.simulated import (
    SimulatedClock,
    SimulatedLoudspeaker,
    SimulatedMicrophone,
    simulate,
)
from audiodec.realtime.voices import Loudspeaker
from tests.conftest import SPEECH
from tests.test_cli import run

RATE = 48000
TIME = np.arange(RATE // 2) / RATE
SILENT = -90  # dBFS, RMS: a step of 16 bits


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


def test_broken_promises_are_found() -> None:
    tone = np.sin(2 * np.pi * 440 * TIME).astype(np.float32) / 2
    nothing, spoilt = np.zeros_like(tone), tone.copy()
    spoilt[7] = np.nan
    for given, kept in ((tone, tone), (nothing, nothing), (nothing, 2e-5 * tone)):
        assert not list(broken_promises(given, kept))
    for given, bad, words in (
        (tone, spoilt, "not finite"),
        (tone, 2.5 * tone, "above full scale"),
        (tone, tone + 0.1, "DC grows"),
        (tone, 1.5 * tone, "louder"),
        (tone, 0.4 * tone, "quieter"),
        (nothing, 1e-3 * tone, "silence sounds"),
    ):
        assert words in list(broken_promises(given, bad))


def test_rows_keep_what_one_clip_broke() -> None:
    scores = {"PESQ-WB": 3.0, "ESTOI": None, "mel distance": 0.2}
    one = Heard("clean", -20, -21, -3, scores, ())
    (row,) = summarise(
        [one, replace(one, peak=-1, broken=("louder",), scores=scores | {"ESTOI": 0.5})]
    )
    assert (row.clips, row.peak, row.broken) == (2, -1, ("louder",))
    assert row.scores == {"PESQ-WB": 3.0, "ESTOI": 0.5, "mel distance": 0.2}


HARD = {
    "square": np.sign(np.sin(2 * np.pi * 220 * TIME)),
    "white noise": np.random.default_rng(0).uniform(-1, 1, len(TIME)),
    "impulses": (np.arange(len(TIME)) % 4800 == 0).astype(float),
    "DC of 1": np.ones(len(TIME)),
    "DC of -1": -np.ones(len(TIME)),
    "Nyquist": np.resize([1.0, -1.0], len(TIME)),
    "ten times too loud": 10 * np.sin(2 * np.pi * 300 * TIME),
    "a million times too loud": 1e6 * np.random.default_rng(0).standard_normal(len(TIME)),
    "all that a float holds": np.full(len(TIME), 3e38),
}


@pytest.mark.parametrize("name", HARD)
def test_output_is_finite_and_never_above_full_scale(codec: audiodec.Codec, name: str) -> None:
    codes = codec.encode(HARD[name])
    for stages in range(1, len(codes) + 1):
        decoded = codec.decode(codes[:stages])
        assert np.abs(decoded).max() <= 1, stages  # false of what is not finite


def test_loud_speech_stays_within_full_scale(
    codec: audiodec.Codec, made: dict[str, np.ndarray]
) -> None:
    for name in ("full scale", "clipped (12 dB over)", "shout (resynthesised)"):
        codes = codec.encode(made[name])
        for stages in range(1, len(codes) + 1):
            assert np.abs(codec.decode(codes[:stages])).max() <= 1, (name, stages)


def test_a_stream_stays_within_full_scale_and_comes_back(
    codec: audiodec.Codec, speech: np.ndarray
) -> None:
    """Also where packets are lost, and after input that no converter could deliver."""
    blast = np.concatenate([np.full(RATE // 2, 1e6, np.float32), speech])
    encoder, decoder = codec.encoder(), codec.decoder()
    packets = encoder.write(blast) + encoder.drain()
    audio = np.concatenate(
        [decoder.decode(None if i % 7 == 3 else p) for i, p in enumerate(packets)]
    )
    assert np.abs(audio).max() <= 1
    tail = slice(RATE, len(blast))
    alone = codec.decode(codec.encode(speech), len(speech))[RATE // 2 :]
    again = codec.decode(codec.encode(blast), len(blast))[tail]
    assert np.square(again - alone).mean() < 0.01 * np.square(alone).mean()


def test_silence_stays_silent(codec: audiodec.Codec, speech: np.ndarray) -> None:
    silence = np.zeros(RATE, np.float32)
    alone = codec.encode(silence)
    after = codec.encode(np.concatenate([speech, silence]))
    for stages in range(1, len(alone) + 1):
        assert level(codec.decode(alone[:stages])) < SILENT, stages
        settled = codec.decode(after[:stages])[len(speech) + RATE // 5 :]
        assert level(settled) < SILENT, stages


def test_what_is_nearly_silent_does_not_grow(
    codec: audiodec.Codec, made: dict[str, np.ndarray]
) -> None:
    faint = made["noise of -80 dBFS"]
    codes = codec.encode(faint)
    for stages in range(1, len(codes) + 1):
        assert level(codec.decode(codes[:stages])) < -77, stages


def test_dc_does_not_grow(codec: audiodec.Codec, made: dict[str, np.ndarray]) -> None:
    for samples in (made["DC offset of 0.1"], np.full(RATE, 0.1), np.full(RATE, -0.1)):
        codes = codec.encode(samples)
        for stages in range(1, len(codes) + 1):
            assert abs(codec.decode(codes[:stages]).mean()) < 0.12, stages


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e39])
def test_what_is_not_finite_is_refused_and_forgotten(
    codec: audiodec.Codec, speech: np.ndarray, bad: float
) -> None:
    spoilt = speech.astype(np.float64)
    spoilt[1000] = bad
    with np.errstate(over="ignore"), pytest.raises(AudioError, match="not finite"):
        codec.encode(spoilt)
    encoder = codec.encoder()
    first = encoder.write(speech[:5000])
    with np.errstate(over="ignore"), pytest.raises(AudioError, match="not finite"):
        encoder.write(spoilt)
    rest = encoder.write(speech[5000:]) + encoder.drain()
    whole = codec.encoder()
    assert first + rest == whole.write(speech) + whole.drain()


def test_live_sound_stays_within_full_scale(codec: audiodec.Codec) -> None:
    """Resampling between clocks lifts a full-scale square wave by 2 dB."""
    clock = SimulatedClock()
    square = np.sign(np.sin(2 * np.pi * 220 * np.arange(5 * RATE) / RATE)).astype(np.float32)
    microphone = SimulatedMicrophone(clock, RATE, 240, square, ppm=300)
    loudspeaker = SimulatedLoudspeaker(clock, RATE, 240, ppm=-300)
    simulate(clock, LiveLoop(codec, microphone, loudspeaker, None, clock))
    assert 0.9 < np.abs(loudspeaker.sounded()).max() <= 1


def test_a_call_stays_within_full_scale() -> None:
    clock = SimulatedClock()
    device = SimulatedLoudspeaker(clock, RATE, 960)
    speaker = Loudspeaker(device, 0.02)
    speaker.start()
    for start in range(0, len(TIME), 700):  # too slow, so that the sound is made longer
        speaker.write(HARD["square"][start : start + 700].astype(np.float32))
        clock.step()
    assert 0.9 < np.abs(device.sounded()).max() <= 1


def test_the_command(tmp_path: Path, small_folder: Path) -> None:
    result = run("bench", "robustness", SPEECH, "--json")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["bitrate_kbps"] == 12
    rows = {row["condition"]: row for row in found["conditions"]}
    assert {"clean", "telephone (G.711)", "whisper (resynthesised)", "silence"} <= rows.keys()
    assert rows["clean"]["scores"]["PESQ-WB"] > 2
    assert rows["silence"]["scores"]["PESQ-WB"] is None
    assert rows["silence"]["level_out"] < SILENT
    for row in rows.values():
        assert row["peak"] <= 0
        assert not row["broken"]
    refused = run("bench", "robustness", SPEECH, "--noise", tmp_path)
    assert refused.returncode == 1
    assert refused.stderr == f"audiodec: error: {tmp_path} holds no audio files\n"


def test_models_of_other_rates(small_folder: Path) -> None:
    shown = run("bench", "robustness", SPEECH, "--model", small_folder)
    assert shown.returncode == 0, shown.stderr
    assert "song (resynthesised)" in shown.stdout
