"""The receiver in js/ against Python's: the same recorded arrivals, the same decisions."""

from __future__ import annotations

import base64
import dataclasses
import functools
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from audiodec.call.network import gilbert
from audiodec.rtp.control import Controller
from audiodec.rtp.payload import Form
from audiodec.rtp.receiver import Receiver
from tests.call_tools import BITRATES, FORMAT, PERIOD, SIZE, SSRC, OneWay
from tests.test_js import run_js

JITTERY = {"delay": 0.05, "jitter": 0.03, "duplicated": 0.05, "reordered": 0.05, "seed": 3}
CALLS: dict[str, dict[str, Any]] = {
    "losses": {"network": {**JITTERY, "lost": gilbert(0.1, 3, 1)}, "adaptive": True},
    "losses, older form": {
        "network": {**JITTERY, "lost": gilbert(0.1, 3, 1)}, "adaptive": True,
    },
    "fast clock": {"network": JITTERY, "ppm": 3000},
    "slow clock": {"network": JITTERY, "ppm": -3000},
    "silences": {"network": {**JITTERY, "lost": gilbert(0.02, 2, 5)}, "dtx": True},
    "wrapping numbers": {
        "network": JITTERY, "sequence": 65_000, "timestamp": 2**32 - 400 * SIZE,
    },
}  # fmt: skip


class LoudDecoder:
    """Sound of a loudness that the number in its packet tells."""

    def decode(
        self, packet: bytes | None, *, coarse: bool = False, ahead: Sequence[bytes | None] = ()
    ) -> np.ndarray:
        number = int.from_bytes(packet[:2], "big") >> 6 if packet else 0
        return np.full(SIZE, 0.001 if number * 37 % 50 < 25 else 0.25, np.float32)


class Recording(Receiver):
    """Notes what comes and when, and when it is pulled; some of what comes is damaged."""

    def __init__(self) -> None:
        super().__init__(LoudDecoder(), FORMAT, SSRC)
        self.events: list[tuple[float, bytes | None]] = []
        self._random = random.Random(5)

    def receive(self, datagram: bytes, now: float) -> None:
        if self._random.random() < 0.02:
            damaged = bytearray(datagram)
            damaged[self._random.randrange(len(damaged))] ^= 1 << self._random.randrange(8)
            datagram = bytes(damaged)
        self.events.append((now, datagram))
        super().receive(datagram, now)

    def pull(self, now: float) -> np.ndarray:
        self.events.append((now, None))
        return super().pull(now)


def record(
    monkeypatch: pytest.MonkeyPatch, seconds: float, call: dict[str, Any], form: Form
) -> Recording:
    """What a receiver got in a call, two seconds of speech after two of silence."""
    recording = Recording()
    monkeypatch.setattr("tests.call_tools.Receiver", lambda *_: recording)
    way = OneWay(**call)
    way.sender._payloader.form = form
    for second in range(0, int(seconds), 2):
        block = np.full(SIZE, 0.1 if second % 4 == 2 else 0.0001, np.float32)
        way.clock.at(second, functools.partial(setattr, way, "block", block))
    way.run(seconds)
    return recording


def replay(events: list[tuple[float, bytes | None]]) -> tuple[Receiver, list[list[Any]]]:
    """A receiver that got the same, and what it played: packets, comfort noise, depth."""
    receiver, turns = Receiver(LoudDecoder(), FORMAT, SSRC), []
    for now, datagram in events:
        if datagram is not None:
            receiver.receive(datagram, now)
            continue
        turn = receiver.due(now)
        receiver.sound(turn, [LoudDecoder().decode(own.packet) for own in turn.packets])
        packets = [
            [_text(own.packet), own.coarse, [_text(each) for each in own.ahead]]
            for own in turn.packets
        ]
        turns.append([packets, turn.noise, receiver.buffer.depth])
    return receiver, turns


def _text(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


@pytest.mark.parametrize("name", CALLS)
def test_the_same_arrivals_give_the_same_decisions(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = Form.OLDER if "older" in name else Form.COMPACT
    events = record(monkeypatch, 60, CALLS[name], form).events
    chance = random.Random(2)
    reports = [
        (
            chance.choice([0, 0, 0.01, 0.03, 0.1, 0.3]),
            chance.choice([None, 0.1, 0.2, 0.4]),
            chance.choice([None, 0, 1.5, 3, 8]),
        )
        for _ in range(200)
    ]
    said = run_js(
        "test/receiver.mjs",
        {
            "format": dataclasses.asdict(FORMAT),
            "ssrc": SSRC,
            "events": [(now, _text(datagram)) for now, datagram in events],
            "bitrates": BITRATES,
            "reports": reports,
        },
    )
    python, turns = replay(events)
    for ours, theirs in zip(turns, said["turns"], strict=True):
        assert ours == theirs
    assert python.counts.as_dict() == said["counts"]
    assert min(python.counts.invalid, python.counts.stretched + python.counts.merged) > 0
    sequence = python.sequence
    assert [
        sequence.received, sequence.lost, sequence.missing, sequence.highest, sequence.jitter,
        sequence.interval(), sequence.burst,
    ] == said["sequence"]  # fmt: skip
    controller = Controller(BITRATES, BITRATES[-1], PERIOD)
    settings = [controller.update(*report) for report in reports]
    assert said["settings"] == [
        [s.bitrate, list(s.redundancy.distances), s.redundancy.codebooks] for s in settings
    ]
