"""A call between Python and JavaScript, in simulated time, over a network that loses packets."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import audiodec
from audiodec.arrays import Samples
from audiodec.call.endpoint import Endpoint
from audiodec.call.network import gilbert
from audiodec.errors import ModelError
from audiodec.rtp.packet import COMPACT, RtpPacket
from tests.test_js import JS

PACKET_TIMES_ON_THE_WAY = 2
START = 1000.0  # seconds


class OtherEnd:
    """An endpoint in JavaScript."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.summary: dict[str, Any] = {}
        self.refused: str | None = None

    def step(
        self, now: float, datagrams: list[bytes], samples: Samples, end: bool
    ) -> tuple[list[bytes], Samples]:
        """One packet time: datagrams and sound that come out of it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        told = {
            "now": now, "datagrams": [base64.b64encode(d).decode() for d in datagrams],
            "samples": base64.b64encode(samples).decode(), "end": end,
        }  # fmt: skip
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        said = json.loads(self._process.stdout.readline())
        self.summary, self.refused = said["summary"], said["refused"]
        sound = np.frombuffer(base64.b64decode(said["sound"]), np.float32)
        return [base64.b64decode(d) for d in said["datagrams"]], sound


@contextmanager
def other_end(codec: audiodec.Codec, **options: Any) -> Iterator[OtherEnd]:
    if not shutil.which("node") or not (JS / "node_modules").exists():
        pytest.skip("no node, or no js/node_modules: make js")
    model = codec.runtime._model.decoder  # type: ignore[attr-defined]
    command = ["node", "test/endpoint.mjs", str(model), json.dumps(options)]
    with subprocess.Popen(
        command, cwd=JS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield OtherEnd(process)


def similarity(heard: Samples, spoken: Samples) -> float:
    """The highest correlation of the two at any delay."""
    size = 2 * max(len(heard), len(spoken))
    cross = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(spoken, size)))
    return float(cross.max() / np.sqrt(np.square(heard).sum() * np.square(spoken).sum()))


@pytest.mark.parametrize("loss", [0.0, 0.1])
def test_python_and_javascript_hold_a_call(
    loss: float, codec: audiodec.Codec, speech: np.ndarray
) -> None:
    here = Endpoint(codec)
    size, period = here.size, here.period
    spoken = np.tile(speech, 2)[: len(speech) * 2 // size * size].reshape(-1, size)
    lost = gilbert(loss, 2, 1)
    there_in: list[list[bytes]] = [[] for _ in range(PACKET_TIMES_ON_THE_WAY)]
    here_in: list[list[bytes]] = [[] for _ in range(PACKET_TIMES_ON_THE_WAY)]
    heard_here, heard_there = [], []
    last_here = last_there = b""
    with other_end(codec) as there:
        for turn in range(len(spoken) + 100):
            now, ended = START + turn * period, turn >= len(spoken)
            block = spoken[turn] if not ended else np.zeros(size, np.float32)
            answers, sound = there.step(now, there_in.pop(0), block, ended)
            heard_there.append(sound)
            for datagram in here_in.pop(0):
                here.receive(datagram, now)
            if ended:
                here.end()
            sent = here.write(block) + here.poll(now)
            if not ended and turn > 50:
                last_here, last_there = sent[0], answers[0]
            heard_here.append(here.pull(now))
            there_in.append([d for d in sent if not next(lost)])
            here_in.append([d for d in answers if not next(lost)])
    ours, theirs = here.summary(now), there.summary
    for speech_packet in (last_here, last_there):
        assert RtpPacket.parse(speech_packet).payload_type == COMPACT
    assert ours["connected"]
    assert theirs["connected"]
    assert here.left
    assert ours["sent"] > len(spoken) - 50
    assert theirs["received"] + theirs["lost"] == ours["sent"]
    assert ours["received"] + ours["lost"] == theirs["sent"]
    assert ours["refused"] == theirs["refused"] == ours["invalid"] == theirs["invalid"] == 0
    for summary in (ours, theirs):
        assert (summary["recovered"] > 10) == (summary["lost"] > 10) == (loss > 0)
        assert summary["played"] > 0.8 * summary["received"]
    keys = set(ours) - {"encrypted"}
    assert keys == set(theirs)
    assert theirs["round_trip_ms"] == pytest.approx(ours["round_trip_ms"], abs=2000 * period)
    for heard in (heard_here, heard_there):
        assert similarity(np.concatenate(heard), spoken.ravel()) > 0.4


def test_a_damaged_hello_is_refused_and_ends_no_call(codec: audiodec.Codec) -> None:
    """One bit makes the form of a hello that of version 0.7, which is told to be updated."""
    hello, nothing = bytearray(Endpoint(codec).poll(START)[0]), np.zeros(0, np.float32)
    assert hello[:4] == b"ADc3"
    hello[3] ^= 2
    with other_end(codec) as there:
        there.step(START, [bytes(hello)], nothing, end=False)
        assert there.refused is None
        assert there.summary["refused"] == 1


def test_ends_of_different_packets_refuse_each_other(codec: audiodec.Codec) -> None:
    here, nothing = Endpoint(codec, frames=1), np.zeros(0, np.float32)
    with other_end(codec, framesPerPacket=3) as there:
        there.step(START, here.poll(START), nothing, end=False)
        assert there.refused is not None
        assert "1 frames a packet where this one has 3" in there.refused
        hello, _ = there.step(START + 1, [b"ADc2" + bytes(80), b"\x80", b""], nothing, end=False)
        assert there.summary["refused"] == 1  # nothing but a hello is looked at before
        with pytest.raises(ModelError, match="3 frames a packet"):
            here.receive(hello[0], START)
