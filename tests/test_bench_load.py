"""`bench load`: what clients in real time find, and that they would find what is wrong."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

import audiodec
from tests.ending_tools import is_one_line, run

pytest.importorskip("websockets")
pytest.importorskip("prometheus_client")
pytest.importorskip("psutil")

from audiodec.errors import ConfigError
from audiodec.evaluation.load.client import Client, Kind, LoadError
from audiodec.evaluation.load.ramp import Step, held
from audiodec.evaluation.load.server import found
from audiodec.evaluation.load.voices import Voice, make_voices
from tests.serve_tools import WAIT, Served


@pytest.fixture(scope="module")
def voices(small: audiodec.Codec) -> list[Voice]:
    return make_voices(small, 2, 1.0, 3)


def speak(server: Served, kind: Kind, voice: Voice) -> tuple[str, list[float]]:
    latencies: list[float] = []
    client = Client(server.url, kind, voice, 3, voice.format.seconds, "", latencies.append)
    return asyncio.run(client.run(20)), latencies


@pytest.mark.parametrize("kind", ["encode", "decode", "rtp"])
def test_clients_hear_themselves_and_nobody_else(
    kind: Kind, start_server, voices: list[Voice]
) -> None:  # type: ignore[no-untyped-def]
    one, two = voices
    with start_server() as server:
        how, latencies = speak(server, kind, one)
        assert how == "complete"
        assert len(latencies) == 20
        assert min(latencies) > 0
        # As if the server answered one with what is another's.
        mixed = dataclasses.replace(one, packets=two.packets, foreign=two.foreign)
        if kind == "decode":
            mixed = dataclasses.replace(one, decoded=two.decoded)
        with pytest.raises((LoadError, ExceptionGroup)):
            speak(server, kind, mixed)


def test_what_a_server_refuses_is_told(start_server, voices: list[Voice]) -> None:  # type: ignore[no-untyped-def]
    with start_server(streams=1) as server, server.stream(mode="encode"):
        assert speak(server, "encode", voices[0])[0].startswith("refused: all streams are taken")


def test_the_last_step_before_the_first_miss_counts() -> None:
    def step(clients: int, p99: float) -> Step:
        return Step(clients, 1, p99, 0, 0, 0, {})

    assert held([step(4, 5), step(8, 21), step(12, 5)], 20) == step(4, 5)
    assert held([step(4, 25)], 20) is None


def test_no_load_on_other_machines() -> None:
    with pytest.raises(ConfigError, match="not on this machine"):
        found("ws://192.0.2.1:8765/stream")
    done = run("bench", "load", "--url", "wss://example.org/stream", timeout=WAIT)
    assert is_one_line(done.stderr)


def test_a_ramp_and_clients_that_come_and_go(small_folder: Path, tmp_path: Path) -> None:
    options = ("--model", small_folder, "--step", 2, "--most", 2, "--seconds", 1)
    bounds = ("--deadline", 1000 * WAIT, "--minutes", 0.1, "--at", 1, "--transport", "both")
    picture = tmp_path / "load.svg"
    done = run("bench", "load", *options, *bounds, "--plot", picture, "--json", timeout=4 * WAIT)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["held"] == 2
    (step,) = result["steps"]
    assert step["ended"] == {"complete": 2}
    assert 0 < step["p50"] <= step["p99"]
    assert step["memory"] > 1
    soak = result["soak"]
    assert soak["wrong"] == []
    assert any(name.startswith("closed_total") for name in soak["counted"])
    assert soak["packets"] > 0
    assert set(soak["ended"]) <= {"complete"}
    assert np.isfinite([look["memory"] for look in soak["looks"]]).all()
    assert picture.read_text().lstrip().startswith("<?xml")
