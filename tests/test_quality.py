"""Codecs behind one interface, scored on the same clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

import audiodec
from audiodec.evaluation.codecs import Opus, Ours, OursSpec
from audiodec.evaluation.metrics import align
from audiodec.evaluation.quality import Score, find_clips, measure, summarise
from tests.conftest import SPEECH


@pytest.mark.parametrize("fullband", [False, True])
def test_opus_is_aligned_and_its_rate_is_measured(speech: np.ndarray, fullband: bool) -> None:
    result = Opus(24, fullband).run(speech)
    assert result.audio.shape == speech.shape
    assert abs(align(speech, result.audio, 48000)[2]) <= 24  # half a millisecond
    assert 15 < result.payload_bytes * 8 / len(speech) * 48 < 30


def test_ours_is_the_library(codec: audiodec.Codec, speech: np.ndarray) -> None:
    result = Ours(codec, 6.0).run(speech)
    expected = codec.decode(codec.encode(speech, 6.0), len(speech))
    np.testing.assert_allclose(result.audio, expected, atol=1e-5)
    packets = -(-len(speech) // (4 * codec.hop))
    assert result.payload_bytes == 4 * 5 * packets


def test_scores_and_summary(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "clip.wav", soundfile.read(SPEECH)[0], 48000)
    assert find_clips([tmp_path]) == [tmp_path / "clip.wav"]
    specs = [OursSpec(None, 3), OursSpec(None, 12)]
    low, high = measure(specs, find_clips([tmp_path]), jobs=2)
    assert low.kbps == pytest.approx(3, rel=0.01)
    for metric in ("PESQ-WB", "ESTOI", "SNR dB"):
        assert high.values[metric] > low.values[metric]  # type: ignore[operator]


def test_intervals_cover_the_mean_and_shrink_with_clips() -> None:
    random = np.random.default_rng(0)

    def interval(clips: int) -> float:
        values = random.normal(3, 0.5, clips)
        metrics = ("PESQ-WB", "ESTOI", "ViSQOL-speech", "ViSQOL-audio", "mel distance", "SNR dB")
        scores = [
            Score("a", str(i), 12.0, 0, dict.fromkeys(metrics, v)) for i, v in enumerate(values)
        ]
        mean = summarise(scores)["a"]["ESTOI"]
        assert mean.low < mean.value < mean.high
        return mean.high - mean.low

    assert interval(400) < 0.5 * interval(20)


def test_mistakes_show_before_other_processes_start(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "clip.wav", soundfile.read(SPEECH)[0], 48000)
    with pytest.raises(audiodec.ModelError, match="no model"):
        list(measure([OursSpec("nonsense", 3)], find_clips([tmp_path]), jobs=2))


def test_models_of_other_rates_are_compared_at_48_khz(
    small: audiodec.Codec, speech: np.ndarray
) -> None:
    result = Ours(small, small.bitrates[-1]).run(speech)
    assert len(result.audio) == len(speech)
    kbps = result.payload_bytes * 8 * 48000 / len(speech) / 1000
    assert kbps == pytest.approx(small.bitrates[-1], rel=0.05)
