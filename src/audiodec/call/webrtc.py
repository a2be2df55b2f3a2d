"""A call over WebRTC: the same datagrams in a data channel, so that browsers can join.

DTLS encrypts and authenticates the channel, so the endpoint needs no secret of its own. How the
session descriptions travel (signalling) is up to the application; `call.room` is one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Protocol

from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.sdp import candidate_from_sdp

from audiodec.call.endpoint import Endpoint
from audiodec.call.signals import Candidate, Description, IceServer, Said
from audiodec.call.transport import Listener, NoAnswerError, Sink, Source, talk
from audiodec.errors import AudioDecError

LABEL = "audiodec"
MAX_BUFFERED_BYTES = 16384  # in the channel; beyond, speech is better dropped than late
OPEN_S = 20.0  # seconds for the two ends to reach each other
LAST_DATAGRAMS_S = 0.2  # seconds for goodbyes to leave before the channel closes


class WayLostError(AudioDecError):
    """The data channel was lost, or could not be opened."""


class Signalling(Protocol):
    """Carries descriptions to and from one other end.

    Attributes:
        ice: STUN and TURN servers to use.
    """

    ice: list[IceServer]

    async def hear(self) -> Said: ...

    async def say(self, description: Description) -> None: ...


def create_channel(connection: RTCPeerConnection) -> RTCDataChannel:
    """Create a data channel as UDP would be: unordered, nothing sent twice."""
    return connection.createDataChannel(LABEL, ordered=False, maxRetransmits=0)


class DataChannel:
    """A `transport.Channel` over an open data channel."""

    def __init__(self, channel: RTCDataChannel) -> None:
        self._channel = channel

    def send(self, datagram: bytes) -> None:
        if self._channel.readyState == "open" and self._channel.bufferedAmount < MAX_BUFFERED_BYTES:
            self._channel.send(datagram)

    def listen(self, listener: Listener) -> None:
        def receive(message: object) -> None:
            if isinstance(message, bytes):
                listener(message)

        self._channel.on("message", receive)


async def hold(
    endpoint: Endpoint, signalling: Signalling, offer: bool, source: Source, sink: Sink,
    tell: Callable[[dict[str, Any]], None],
) -> bool | None:  # fmt: skip
    """Open a data channel to the other end, and hold a call over it.

    Args:
        offer: whether this end makes the offer.

    Returns:
        None when the call is over; otherwise the other end has joined anew, and this says whether
        the next offer is this end's.

    Raises:
        WayLostError: the two ends do not reach each other, or not any more.
        ModelError: the other end speaks with another model.
    """
    way = _Way(signalling.ice)
    following = asyncio.create_task(_follow(way, signalling))
    calling = asyncio.create_task(_call(way, signalling, offer, endpoint, source, sink, tell))
    try:
        news: set[asyncio.Future[Any]] = {following, calling, way.lost}
        await asyncio.wait(news, return_when=asyncio.FIRST_COMPLETED)
        if calling.done():
            calling.result()
            if endpoint.gone:
                raise WayLostError("the other end has not been heard for too long")
            return None
        if endpoint.hung_up:  # and closed the channel before its last words were played
            return None
        if following.done():
            return following.result()
        raise WayLostError("the way to the other end is lost")
    finally:
        for task in (following, calling):
            task.cancel()
            with suppress(asyncio.CancelledError, AudioDecError):
                await task
        await asyncio.sleep(LAST_DATAGRAMS_S)
        await way.connection.close()


class _Way:
    """A connection to the other end.

    Attributes:
        opened: gets its data channel.
        lost: done when it is not to be used any more.
    """

    def __init__(self, ice: Iterable[IceServer]) -> None:
        servers = [RTCIceServer(**server.model_dump()) for server in ice]
        self.connection = connection = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[RTCDataChannel] = loop.create_future()
        self.lost: asyncio.Future[None] = loop.create_future()

        @connection.on("datachannel")  # type: ignore[untyped-decorator]
        def came(channel: RTCDataChannel) -> None:
            if channel.label == LABEL and not self.opened.done():
                self._use(channel)

        @connection.on("connectionstatechange")  # type: ignore[untyped-decorator]
        def changed() -> None:
            if connection.connectionState in ("failed", "closed"):
                self._lose()

    def create(self) -> None:
        """Make the channel; the other end is offered it."""
        channel = create_channel(self.connection)
        channel.on("open", lambda: self._use(channel))

    def _use(self, channel: RTCDataChannel) -> None:
        if not self.opened.done():
            self.opened.set_result(channel)
        channel.on("close", self._lose)

    def _lose(self) -> None:
        if not self.lost.done():
            self.lost.set_result(None)


async def _call(
    way: _Way, signalling: Signalling, offer: bool, endpoint: Endpoint, source: Source, sink: Sink,
    tell: Callable[[dict[str, Any]], None],
) -> None:  # fmt: skip
    try:
        async with asyncio.timeout(OPEN_S):
            if offer:
                way.create()
                await way.connection.setLocalDescription(await way.connection.createOffer())
                await _describe(way, signalling)
            channel = await way.opened
        await talk(endpoint, DataChannel(channel), source, sink, OPEN_S, tell)
    except (TimeoutError, NoAnswerError):
        raise WayLostError("the other end is not reached") from None


async def _describe(way: _Way, signalling: Signalling) -> None:
    local = way.connection.localDescription
    await signalling.say(Description(type=local.type, sdp=local.sdp))


async def _follow(way: _Way, signalling: Signalling) -> bool:
    """Do what the other end says, until it joins anew. Returns whether the next offer is ours."""
    while True:
        try:
            heard = await signalling.hear()
        except AudioDecError:
            if not way.opened.done():
                raise
            await way.lost  # the call goes on without the server
            raise
        if heard.peer:
            return heard.offer
        if heard.peer is False and not way.opened.done():
            raise WayLostError("the other end has left")
        try:
            if heard.description is not None:
                await _take(way, signalling, heard.description)
            elif heard.candidate is not None:
                await _try(way, heard.candidate)
        except Exception:  # whatever the library makes of what no browser would send
            raise WayLostError("the other end describes no way that can be used") from None


async def _take(way: _Way, signalling: Signalling, theirs: Description) -> None:
    await way.connection.setRemoteDescription(RTCSessionDescription(theirs.sdp, theirs.type))
    if theirs.type == "offer":
        await way.connection.setLocalDescription(await way.connection.createAnswer())
        await _describe(way, signalling)


async def _try(way: _Way, theirs: Candidate) -> None:
    if theirs.candidate:  # an empty one says that there are no more
        candidate = candidate_from_sdp(theirs.candidate.removeprefix("candidate:"))
        candidate.sdpMid, candidate.sdpMLineIndex = theirs.sdpMid, theirs.sdpMLineIndex
        await way.connection.addIceCandidate(candidate)
