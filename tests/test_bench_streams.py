"""`audiodec bench streams`: the table, and the search for the most streams."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import audiodec
from audiodec.evaluation.stream_workers import combined, side_by_side
from audiodec.evaluation.streams import CLOCKS, STREAM_COUNTS, Load, held, measure


def load(streams: int, per_stream: float) -> Load:
    """A tick that costs 1 ms and so much for each stream, with a deadline of 10 ms."""
    time = 1 + per_stream * streams
    return Load(streams, 10, time / 2, time, time / 2, time)


@pytest.mark.parametrize("per_stream", [0.09, 0.2, 0.5, 3.0, 20.0])
def test_finds_the_most_streams_that_fit(per_stream: float) -> None:
    rows = [load(count, per_stream) for count in STREAM_COUNTS]
    best = held(rows, "p99", lambda count: load(count, per_stream))
    most = min(int(9 / per_stream), STREAM_COUNTS[-1])
    assert (best.streams if best else 0) == most


def test_measures_real_ticks(small: audiodec.Codec) -> None:
    few, many = (measure(small.runtime, n, 20, frames=2) for n in (1, 3))  # type: ignore[arg-type]
    assert (few.streams, many.streams) == (1, 3)
    for row in (few, many):
        assert row.deadline == 20  # ms: two frames of 160 samples at 16 kHz
        assert 0 < row.median <= row.p99
        assert 0 < row.cpu_median <= row.cpu_p99


def test_processes_are_measured_side_by_side(small: audiodec.Codec) -> None:
    with side_by_side(small.runtime, 2) as measured:
        together = measured(3, 20, 2)
    assert together.streams == 6
    assert together.deadline == 20
    assert 0 < together.median <= together.p99
    slowest = combined([Load(4, 10, 1, 5, 2, 6), Load(4, 10, 3, 4, 1, 7)])
    assert slowest == Load(8, 10, 3, 5, 2, 7)


@pytest.mark.parametrize("per_stream", [0.09, 0.5, 3.0])
def test_finds_the_most_streams_of_several_processes(per_stream: float) -> None:
    def measured(count: int) -> Load:
        return combined([load(count, per_stream)] * 2)

    best = held([measured(count) for count in STREAM_COUNTS], "p99", measured, workers=2)
    most = min(int(9 / per_stream), STREAM_COUNTS[-1])
    assert (best.streams if best else 0) == 2 * most


def test_json_from_the_command_line(small_folder: Path) -> None:
    command = ["bench", "streams", "--ticks", "100", "--model", str(small_folder), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "audiodec", *command], capture_output=True, text=True, check=True
    )
    result = json.loads(done.stdout)
    assert [row["streams"] for row in result["loads"]] == list(STREAM_COUNTS)
    assert set(result["held"]) == set(CLOCKS)
    for clock, best in result["held"].items():
        assert best is None or best[clock] <= best["deadline"]
