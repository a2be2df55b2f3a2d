"""Difficult input: the codec keeps its promises, and who does not is found out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import audiodec
from audiodec.errors import AudioError
from audiodec.evaluation.conditions import clipped, full_scale, white, within
from audiodec.evaluation.resynthesis import shout
from audiodec.evaluation.robustness import Heard, broken_promises, level, summarise
from audiodec.sound.loop import LiveLoop
from audiodec.sound.simulated import (
    SimulatedClock,
    SimulatedLoudspeaker,
    SimulatedMicrophone,
    simulate,
)
from audiodec.sound.voices import Loudspeaker
from tests.conftest import SPEECH
from tests.test_cli import run

RATE = 48000
TIME = np.arange(RATE // 2) / RATE
SILENT = -90  # dBFS, RMS: a step of 16 bits


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
    one = Heard("clean", 1, -20, -21, -3, scores, ())
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
}


@pytest.mark.parametrize("name", HARD)
def test_output_is_finite_and_never_above_full_scale(codec: audiodec.Codec, name: str) -> None:
    codes = codec.encode(HARD[name])
    for num_codebooks in range(1, len(codes) + 1):
        decoded = codec.decode(codes[:num_codebooks])
        assert np.abs(decoded).max() <= 1, num_codebooks  # false of what is not finite


def test_loud_speech_stays_within_full_scale(codec: audiodec.Codec, speech: np.ndarray) -> None:
    for loud in (full_scale(speech), clipped(speech, 12), shout(speech, RATE)):
        codes = codec.encode(loud)
        for num_codebooks in range(1, len(codes) + 1):
            assert np.abs(codec.decode(codes[:num_codebooks])).max() <= 1, num_codebooks


def test_a_stream_stays_within_full_scale_and_comes_back(
    codec: audiodec.Codec, speech: np.ndarray
) -> None:
    """Also where packets are lost, and after input that no converter could deliver."""
    loud = np.full(128 * codec.hop, 10, np.float32)  # after 128 frames the noise repeats
    blast = np.concatenate([loud, speech])
    encoder, decoder = codec.encoder(), codec.decoder()
    packets = encoder.write(blast) + encoder.drain()
    audio = np.concatenate(
        [decoder.decode(None if i % 7 == 3 else p) for i, p in enumerate(packets)]
    )
    assert np.abs(audio).max() <= 1
    tail = slice(len(loud) + RATE // 2, len(blast))
    alone = codec.decode(codec.encode(speech), len(speech))[RATE // 2 :]
    again = codec.decode(codec.encode(blast), len(blast))[tail]
    assert np.square(again - alone).mean() < 0.01 * np.square(alone).mean()


def test_silence_stays_silent(codec: audiodec.Codec, speech: np.ndarray) -> None:
    silence = np.zeros(RATE, np.float32)
    alone = codec.encode(silence)
    after = codec.encode(np.concatenate([speech, silence]))
    for num_codebooks in range(1, len(alone) + 1):
        assert level(codec.decode(alone[:num_codebooks])) < SILENT, num_codebooks
        settled = codec.decode(after[:num_codebooks])[len(speech) + RATE // 5 :]
        assert level(settled) < SILENT, num_codebooks


def test_what_is_nearly_silent_does_not_grow(
    codec: audiodec.Codec,
) -> None:
    faint = white(RATE, -80, np.random.default_rng(0))
    codes = codec.encode(faint)
    for num_codebooks in range(1, len(codes) + 1):
        assert level(codec.decode(codes[:num_codebooks])) < -77, num_codebooks


def test_dc_does_not_grow(codec: audiodec.Codec, speech: np.ndarray) -> None:
    for samples in (within(speech + np.float32(0.1)), np.full(RATE, 0.1), np.full(RATE, -0.1)):
        codes = codec.encode(samples)
        for num_codebooks in range(1, len(codes) + 1):
            assert abs(codec.decode(codes[:num_codebooks]).mean()) < 0.12, num_codebooks


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
