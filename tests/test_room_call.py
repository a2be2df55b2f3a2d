"""Two Python ends of a call in a room: they meet, speak, lose each other and come back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("aiortc", reason="the extra `live` is not installed")
pytest.importorskip("websockets")

from audiodec.call import webrtc
from audiodec.call.endpoint import Endpoint
from audiodec.call.room import Invitation, RoomError, read_invitation, talk_in_room
from audiodec.call.transport import NoAnswerError
from audiodec.errors import ConfigError
from audiodec.sound.voices import Muted, file_source
from tests.call_tools import PERIOD, RATE, fake_codec
from tests.conftest import SPEECH
from tests.serve_tools import WAIT, Served

pytestmark = pytest.mark.xdist_group("real time")  # one after another


@pytest.mark.parametrize(
    ("link", "url", "room", "token"),
    [
        ("http://127.0.0.1:8765/call.html#room=a-b", "ws://127.0.0.1:8765/room", "a-b", ""),
        ("https://a.example/x/call.html#room=R&token=t%20k", "wss://a.example/x/room", "R", "t k"),
        ("https://a.example/#room=R&server=wss://b.example/room", "wss://b.example/room", "R", ""),
        ("ws://[::1]:9/room#room=R", "ws://[::1]:9/room", "R", ""),
    ],
)
def test_links(link: str, url: str, room: str, token: str) -> None:
    assert read_invitation(link) == Invitation(url, room, token)


@pytest.mark.parametrize(
    "link",
    ["", "room", "http://a/call.html", "http://a/#room=", "http://a/#room=a b", "ftp://a/#room=a",
     "http://[/#room=a", "http://a/#room=" + "a" * 65, "#room=a", "http://a/#room=a&server=file:///x"],
)  # fmt: skip
def test_what_is_no_link(link: str) -> None:
    with pytest.raises(ConfigError, match="no link to a call"):
        read_invitation(link)


class End:
    """One end of a call, and what became of it."""

    def __init__(self, server: Served, source: Any, room: str = "a") -> None:
        self.ends: list[Endpoint] = []
        self.words: list[str] = []
        self.invitation = Invitation(server.url.replace("/stream", "/room"), room, "")
        self.source = source
        self.told = asyncio.Event()

    def make(self) -> Endpoint:
        self.ends.append(Endpoint(fake_codec()))
        return self.ends[-1]

    async def talk(self, wait: float = WAIT) -> None:
        await talk_in_room(
            self.make, self.invitation, self.source, Muted(), wait,
            lambda summary: self.told.set(), self.words.append,
        )  # fmt: skip

    def summary(self) -> dict[str, Any]:
        return self.ends[-1].summary(time.monotonic())


def test_two_ends_meet_in_a_room_and_talk(serve_rooms: Callable[..., Served]) -> None:
    async def converse(server: Served) -> tuple[End, End]:
        with file_source(str(SPEECH), RATE) as source:
            speaks, listens = End(server, source), End(server, Muted())
            await asyncio.wait_for(asyncio.gather(speaks.talk(), listens.talk()), 5 * WAIT)
        return speaks, listens

    with serve_rooms(ice=[]) as server:
        speaks, listens = asyncio.run(converse(server))
    spoke, listened = speaks.summary(), listens.summary()
    assert spoke["sent"] > 1 / PERIOD
    assert listened["received"] + listened["lost"] == spoke["sent"]
    assert listened["received"] >= 0.9 * spoke["sent"]
    assert len(speaks.ends) == len(listens.ends) == 1


def test_an_end_that_is_cut_off_comes_back_and_the_call_goes_on(
    serve_rooms: Callable[..., Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    ways: list[Any] = []
    cut: set[Any] = set()
    use, send = webrtc._Way._use, webrtc.DataChannel.send

    def noted(way: Any, channel: Any) -> None:
        ways.append((way, channel))
        use(way, channel)

    def through(channel: webrtc.DataChannel, datagram: bytes) -> None:
        if channel._channel not in cut:
            send(channel, datagram)

    monkeypatch.setattr(webrtc._Way, "_use", noted)
    monkeypatch.setattr(webrtc.DataChannel, "send", through)

    async def converse(server: Served) -> tuple[End, End]:
        one, two = End(server, Muted()), End(server, Muted())
        calls = [asyncio.create_task(each.talk()) for each in (one, two)]
        await asyncio.wait_for(one.told.wait(), WAIT)
        await asyncio.wait_for(two.told.wait(), WAIT)
        cut.update(channel for _, channel in ways)
        ways[0][0]._lose()  # as when the network of one end changes
        await asyncio.sleep(0.1)
        one.told.clear()
        two.told.clear()
        await asyncio.wait_for(one.told.wait(), 2 * WAIT)
        await asyncio.wait_for(two.told.wait(), 2 * WAIT)
        calls[0].cancel()  # hangs up
        with pytest.raises(asyncio.CancelledError):
            await calls[0]
        await asyncio.wait_for(calls[1], 2 * WAIT)
        return one, two

    with serve_rooms(ice=[]) as server:
        one, two = asyncio.run(converse(server))
    assert len(one.ends) >= 2
    assert len(two.ends) >= 2
    assert two.ends[-1].hung_up
    assert any("joining again" in words for words in one.words + two.words)


def test_nobody_there_and_no_server(serve_rooms: Callable[..., Served]) -> None:
    with serve_rooms(ice=[], tokens=("secret",)) as server:
        end = End(server, Muted())
        with pytest.raises(RoomError, match="wrong or missing token"):
            asyncio.run(end.talk())
    with pytest.raises(RoomError, match="no room at"):
        asyncio.run(end.talk())
    with serve_rooms(ice=[]) as server, pytest.raises(NoAnswerError, match="nobody came"):
        asyncio.run(End(server, Muted()).talk(wait=0.3))


def test_descriptions_no_browser_would_send(serve_rooms: Callable[..., Served]) -> None:
    """Whatever the other end says, this one waits for the next who comes."""
    import json

    from websockets.asyncio.client import connect

    sdp = "v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\n"
    wrong = [
        {"description": {"type": kind, "sdp": sdp + more}}
        for kind in ("offer", "answer")
        for more in ("", "a=candidate:x\r\n", "a=fingerprint:a\r\n", "a=sctp-port:x\r\n", "a=")
    ] + [{"candidate": {"candidate": text, "sdpMid": "0"}} for text in ("x", "candidate:1 x y", "")]

    async def converse(server: Served) -> End:
        end = End(server, Muted())
        call = asyncio.create_task(end.talk())
        for message in wrong:
            async with connect(end.invitation.url) as peer:
                await peer.send(json.dumps({"room": "a", "end": "hostile-end"}))
                while not json.loads(await peer.recv()).get("peer"):
                    pass
                await peer.send(json.dumps(message))
                await asyncio.sleep(0.1)
            assert not call.done()
        friend = End(server, Muted())
        other = asyncio.create_task(friend.talk())
        await asyncio.wait_for(friend.told.wait(), WAIT)
        for task in (other, call):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        return end

    with serve_rooms(ice=[]) as server:
        asyncio.run(converse(server))
