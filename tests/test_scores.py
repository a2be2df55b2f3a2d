"""The table of scores, and means with intervals that hold what they promise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import audiodec
from audiodec.evaluation.quality import Score, groups, read_scores, summarise, write_scores


def score_of(value: float | None, number: int, codec: str = "a", **labels: str) -> Score:
    return Score(codec, f"clip{number}", 12.0, 0, {"ESTOI": value}, labels=labels)


def test_intervals_cover_the_mean_and_shrink_with_clips() -> None:
    random = np.random.default_rng(0)

    def interval(clips: int) -> float:
        values = random.normal(3, 0.5, clips)
        mean = summarise([score_of(v, i) for i, v in enumerate(values)])["a"]["ESTOI"]
        assert mean.low < mean.value < mean.high
        assert mean.value == pytest.approx(values.mean())
        return mean.high - mean.low

    assert interval(400) < 0.5 * interval(20)


def test_intervals_hold_what_they_promise_where_clips_of_a_speaker_are_alike() -> None:
    random, speakers, each = np.random.default_rng(1), 20, 4

    def covered(known: bool) -> float:
        hits = 0
        for _ in range(150):
            voices = random.normal(0, 1, speakers).repeat(each)
            values = voices + random.normal(0, 0.5, len(voices))
            scores = [
                score_of(v, i, **({"speaker": str(i // each)} if known else {}))
                for i, v in enumerate(values)
            ]
            mean = summarise(scores)["a"]["ESTOI"]
            hits += mean.low <= 0 <= mean.high
        return hits / 150

    assert 0.88 < covered(known=True) <= 1
    assert covered(known=False) < 0.8  # what treating clips as independent would give


def test_clips_beyond_a_metric_are_left_out_and_one_clip_has_no_interval() -> None:
    scores = [score_of(v, i) for i, v in enumerate((1.0, None, 3.0, 2.0))]
    assert summarise(scores)["a"]["ESTOI"].value == 2
    assert summarise([score_of(None, 0)])["a"].keys() == {"kbps"}
    alone = summarise([score_of(2.5, 0)])["a"]["ESTOI"]
    assert (alone.plus_minus(2), alone.half) == ("", 0)


def test_groups_leave_out_what_is_not_known() -> None:
    scores = [score_of(1, 0, gender="m"), score_of(2, 1), score_of(3, 2, gender="f")]
    assert {v: [s.clip for s in own] for v, own in groups(scores, "gender").items()} == {
        "f": ["clip2"],
        "m": ["clip0"],
    }


def test_the_table_keeps_everything(tmp_path: Path) -> None:
    scores = [
        Score("a 3", "x", 3.1, -4, {"ESTOI": 0.5, "WER": None}, "a", 3.0, 6.7, {"speaker": "ü"}),
        Score("b", "y", 8.0, 0, {"ESTOI": None, "WER": 4.0}, "b", 8.0, float("inf"), {}),
    ]
    write_scores(scores, {"date": "2026-01-01"}, tmp_path / "scores.parquet")
    assert read_scores(tmp_path / "scores.parquet") == (scores, {"date": "2026-01-01"})


def test_a_table_of_another_kind_is_one_clear_line(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    path = tmp_path / "scores.parquet"
    parquet.write_table(pa.table({"codec": ["a"]}), path)
    for damage in (lambda data: data, lambda data: data[:-9], lambda data: b"none"):
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(audiodec.ConfigError, match="no table of audiodec bench quality"):
            read_scores(path)
