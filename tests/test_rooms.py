"""Rooms of `audiodec serve`: two ends of a call find each other, and nobody else hears them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("websockets")
pytest.importorskip("prometheus_client")

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from audiodec.errors import ConfigError
from audiodec.serve.rooms import read_ice
from tests.serve_tools import WAIT, Served, refusal

SDP = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
OFFER = {"description": {"type": "offer", "sdp": SDP}}
ANSWER = {"description": {"type": "answer", "sdp": SDP}}
CANDIDATE = {"candidate": {"candidate": "candidate:1 1 UDP 1 10.0.0.1 5 typ host", "sdpMid": "0"}}


@contextmanager
def joined(
    server: Served, room: str = "a", end: str = "somebody", **more: Any
) -> Iterator[ClientConnection]:
    with server.connect("/room") as client:
        client.send(json.dumps({"room": room, "end": end, **more}))
        yield client


def hear(client: ClientConnection) -> dict[str, Any]:
    return json.loads(client.recv(WAIT))  # type: ignore[no-any-return]


def say(client: ClientConnection, message: object) -> None:
    client.send(json.dumps(message))


def nothing_comes(client: ClientConnection) -> bool:
    with suppress(TimeoutError):
        client.recv(0.1)
        return False
    return True


def test_two_ends_meet_and_only_they_hear_each_other(serve_rooms: Callable[..., Served]) -> None:
    ice = [{"urls": "stun:127.0.0.1:3478"}]
    with (
        serve_rooms(ice=ice) as server,
        joined(server, "a", "first-end") as first,
        joined(server, "b", "elsewhere") as stranger,
    ):
        assert hear(first) == {"joined": "a", "ice": ice}
        assert hear(stranger) == {"joined": "b", "ice": ice}
        with joined(server, "a", "second-end") as second:
            assert hear(second) == {"joined": "a", "ice": ice}
            assert hear(second) == {"peer": True, "offer": True}
            assert hear(first) == {"peer": True, "offer": False}
            for sender, receiver, message in (
                (second, first, OFFER), (first, second, ANSWER),
                (first, second, CANDIDATE), (second, first, CANDIDATE),
            ):  # fmt: skip
                say(sender, message)
                assert hear(receiver) == message
            with joined(server, "a", "third-end") as third:
                assert refusal(third) == (1013, "two are in this room already")
        assert hear(first) == {"peer": False}
        say(first, OFFER)  # nobody is there: it goes nowhere
        assert nothing_comes(stranger)


def test_an_end_that_comes_again_takes_its_place(serve_rooms: Callable[..., Served]) -> None:
    with (
        serve_rooms(ice=[]) as server,
        joined(server, end="first-end") as first,
        joined(server, end="second-end") as lost,
    ):
        for each, count in ((first, 2), (lost, 2)):
            for _ in range(count):
                hear(each)
        with joined(server, end="second-end") as back:
            hear(back)
            assert hear(back) == {"peer": True, "offer": True}
            assert hear(first) == {"peer": True, "offer": False}
            assert refusal(lost)[0] == 4409
            say(first, OFFER)
            assert hear(back) == OFFER
            assert nothing_comes(first)  # of the old one's going nothing is said
        assert hear(first) == {"peer": False}


def test_tokens_limits_and_the_end(serve_rooms: Callable[..., Served]) -> None:
    with (
        serve_rooms(ice=[], tokens=("secret",), streams=2, hello=0.5) as server,
        joined(server, "a", token="secret") as one,
        joined(server, "b", token="secret") as two,
    ):
        assert "joined" in hear(one)
        assert "joined" in hear(two)
        with joined(server, "a", "another-end", token="wrong") as stranger:
            assert refusal(stranger) == (4401, "wrong or missing token")
        with joined(server, "a", "another-end", token="secret") as third:
            assert refusal(third) == (1013, "all places are taken; try again later")
        with server.connect("/room") as silent:
            assert refusal(silent)[0] == 4408
        assert server.count('audiodec_streams{mode="room"}') == 2
        server.stop()
        assert refusal(one)[0] == 1001
        assert refusal(two)[0] == 1001


def test_without_rooms_there_is_no_door(serve_rooms: Callable[..., Served]) -> None:
    with serve_rooms() as server, pytest.raises(InvalidStatus, match="404"):
        server.connect("/room")


def test_pages_of_others_do_not_get_in(serve_rooms: Callable[..., Served], tmp_path: Path) -> None:
    with serve_rooms(ice=[], folders={"/": tmp_path}) as server:
        with pytest.raises(InvalidStatus, match="403"):
            server.connect("/room", origin="http://elsewhere.example")
        for host in ("127.0.0.1", "localhost"):
            with server.connect("/room", origin=f"http://{host}:{server.port}") as own:
                say(own, {"room": host.replace(".", "-"), "end": "own-page"})
                assert "joined" in hear(own)
    with (
        serve_rooms(ice=[]) as server,
        pytest.raises(InvalidStatus, match="403"),
    ):  # it hands out no page
        server.connect("/room", origin=f"http://127.0.0.1:{server.port}")


WRONG: list[object] = [
    {},
    {"description": None},
    OFFER | CANDIDATE,
    {"description": {"type": "rollback", "sdp": SDP}},
    {"description": {"type": "offer", "sdp": SDP.replace("application", "audio")}},
    {"description": {"type": "offer", "sdp": SDP + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n"}},
    {"description": {"type": "offer", "sdp": SDP + "a" * 12000}},
    {"candidate": {"candidate": "x" * 1025}},
    {"candidate": {"candidate": 1}},
    {"peer": True},
    ["offer"],
]


@pytest.mark.parametrize("message", WRONG, ids=lambda message: json.dumps(message)[:60])
def test_what_does_not_fit_ends_only_its_sender(
    serve_rooms: Callable[..., Served], message: object
) -> None:
    with (
        serve_rooms(ice=[]) as server,
        joined(server, end="first-end") as first,
        joined(server, end="second-end") as second,
    ):
        for each in (first, second):
            hear(each)
            hear(each)
        say(first, message)
        assert refusal(first)[0] == 4400
        assert hear(second) == {"peer": False}
        with joined(server, end="third-end") as third:
            hear(third)
            hear(third)
            assert hear(second) == {"peer": True, "offer": False}


@pytest.mark.parametrize(
    "join",
    [{"room": "", "end": "somebody"}, {"room": "a b", "end": "somebody"},
     {"room": "a" * 65, "end": "somebody"}, {"room": "a", "end": "short"}, {"room": "a"},
     {"room": "a\n", "end": "somebody"}, {"room": "a", "end": "somebody", "more": 1}],
)  # fmt: skip
def test_joins_that_are_none(serve_rooms: Callable[..., Served], join: dict[str, Any]) -> None:
    with serve_rooms(ice=[]) as server, server.connect("/room") as client:
        say(client, join)
        assert refusal(client)[0] == 4400


@pytest.mark.parametrize("messages", [300, pytest.param(20_000, marks=pytest.mark.slow)])
def test_random_messages_reach_no_other_room(
    serve_rooms: Callable[..., Served], messages: int
) -> None:
    rng, sent = np.random.default_rng(0), 0
    good = [OFFER, ANSWER, CANDIDATE]
    with (
        serve_rooms(ice=[], idle=600, hello=WAIT) as server,
        joined(server, "quiet", "first-end") as first,
        joined(server, "quiet", "second-end") as second,
    ):
        for each in (first, second):
            hear(each)
            hear(each)
        while sent < messages:
            with suppress(ConnectionClosed), joined(server, f"noisy{rng.integers(3)}") as client:
                for _ in range(int(rng.integers(1, 30))):
                    sent += 1
                    text = json.dumps(good[rng.integers(3)])
                    cut = int(rng.integers(len(text)))
                    other = chr(int(rng.integers(32, 300)))
                    client.send(
                        [text, text[:cut], text[:cut] + other + text[cut + 1 :], rng.bytes(cut)][
                            rng.choice(4, p=[0.7, 0.1, 0.1, 0.1])
                        ]
                    )
        assert nothing_comes(first)
        say(first, OFFER)
        assert hear(second) == OFFER
        server.wait_for('audiodec_streams{mode="room"}', 2)


def test_ice_servers_are_read_or_refused(tmp_path: Path) -> None:
    file = tmp_path / "ice.json"
    turn = {"urls": "turn:turn.example.org:3478", "username": "a", "credential": "b"}
    file.write_text(json.dumps([{"urls": "stun:stun.example.org"}, turn]))
    assert read_ice(file) == [{"urls": "stun:stun.example.org"}, turn]
    for wrong in ('{"urls": "stun:a"}', '[{"urls": "http://a"}]', '[{"urls": 1}]', "[{}]", "["):
        file.write_text(wrong)
        with pytest.raises(ConfigError, match=r"ice\.json"):
            read_ice(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_ice(tmp_path / "none.json")
