"""A call in a room: both ends find each other through a server, then speak over a WebRTC data
channel, browsers too. When the way between them breaks, they join again and go on."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urljoin, urlsplit

from pydantic import ValidationError

from audiodec.call.endpoint import Endpoint
from audiodec.call.signals import MAX_SIGNAL_BYTES, Description, IceServer, Join, Said
from audiodec.call.transport import NoAnswerError, Sink, Source
from audiodec.errors import AudioDecError, ConfigError, MissingExtraError

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

CONNECT_S = 20.0  # seconds for a server to let this end in
PAUSE_S = 1.0  # seconds before joining again


class RoomError(AudioDecError):
    """The server does not let this end into the room, or sends what is no message."""


@dataclass(frozen=True)
class Invitation:
    """Where a call takes place.

    Attributes:
        url: of the server's signalling, ws: or wss:.
        room: its name.
        token: access to the server; empty if it asks for none.
    """

    url: str
    room: str
    token: str


def read_invitation(link: str) -> Invitation:
    """Read the link of a call as its page shows it: `http://HOST:PORT/call.html#room=NAME`.

    The part behind `#` may also hold `token=` and, where the page comes from elsewhere, `server=`
    with the address of the signalling.

    Raises:
        ConfigError: not such a link.
    """
    wrong = ConfigError(
        f"no link to a call: {link!r:.200}; it looks like http://127.0.0.1:8765/call.html#room=NAME"
    )
    try:
        parts = urlsplit(link)
        given = parse_qs(parts.fragment, max_num_fields=8)
    except ValueError:
        raise wrong from None
    url = given.get("server", [urljoin(link.partition("#")[0], "room")])[0]
    scheme, _, rest = url.partition("://")
    scheme = {"http": "ws", "https": "wss"}.get(scheme, scheme)
    room, token = (given.get(key, [""])[0] for key in ("room", "token"))
    try:
        Join(room=room, end="somebody", token=token)
    except ValidationError:
        raise wrong from None
    if scheme not in ("ws", "wss") or not rest:
        raise wrong
    return Invitation(f"{scheme}://{rest}", room, token)


class Room:
    """This end's seat in a room."""

    def __init__(self, connection: ClientConnection, ice: list[IceServer]) -> None:
        self.ice = ice
        self._connection = connection

    async def hear(self) -> Said:
        """Wait for the next message. Raises RoomError: refused, or the server is gone."""
        from websockets.exceptions import ConnectionClosed

        try:
            return said(await self._connection.recv())
        except ConnectionClosed as closed:
            reason = closed.rcvd.reason if closed.rcvd else ""
            raise RoomError(reason or "the server of the room is gone") from None

    async def say(self, description: Description) -> None:
        """Tell the other end. Raises RoomError: the server is gone."""
        from websockets.exceptions import ConnectionClosed

        try:
            await self._connection.send(json.dumps({"description": description.model_dump()}))
        except ConnectionClosed:
            raise RoomError("the server of the room is gone") from None


def said(message: str | bytes) -> Said:
    """Check a message of the server. Raises RoomError."""
    try:
        heard = Said.model_validate_json(message)
    except ValidationError:
        raise RoomError("the server of the room sends what is no message") from None
    if heard.error is not None:
        raise RoomError(f"the room is closed to this end: {heard.error}")
    return heard


@asynccontextmanager
async def join(invitation: Invitation, end: str) -> AsyncIterator[Room]:
    """Take a seat. Raises RoomError: the server is not there or refuses."""
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

    hello = Join(room=invitation.room, end=end, token=invitation.token)
    try:
        connection = await connect(
            invitation.url, max_size=MAX_SIGNAL_BYTES, compression=None, open_timeout=CONNECT_S
        )
    except (OSError, InvalidHandshake, InvalidURI, TimeoutError, ValueError) as error:
        raise RoomError(f"no room at {invitation.url}: {error}") from None
    async with connection:
        try:
            await connection.send(hello.model_dump_json())
            answer = said(await connection.recv())
        except ConnectionClosed:
            raise RoomError("the server of the room closed the door") from None
        if answer.joined != invitation.room:
            raise RoomError("the server of the room sends what is no message")
        yield Room(connection, answer.ice)


async def talk_in_room(
    make: Callable[[], Endpoint], invitation: Invitation, source: Source, sink: Sink, wait: float,
    tell: Callable[[dict[str, Any]], None] = lambda summary: None,
    say: Callable[[str], None] = lambda words: None,
) -> None:  # fmt: skip
    """Hold a call in a room until both streams have ended, joining again when the way breaks.

    Args:
        make: a fresh end of a call, without a secret, for each connection: it is encrypted.
        wait: seconds for the other end to come, and to come back.
        tell: gets the endpoint's summary a few times a second.
        say: gets words for people about what happens.

    Raises:
        RoomError: there is no such server, or it refuses.
        NoAnswerError: nobody came, or came back.
        ModelError: the other end speaks with another model.
        MissingExtraError: aiortc or websockets is not installed.
    """
    try:
        from audiodec.call.webrtc import WayLostError, hold
    except ImportError:
        raise MissingExtraError("calls in rooms", "live") from None
    end, spoken = secrets.token_urlsafe(16), False
    until = time.monotonic() + wait

    def told(summary: dict[str, Any]) -> None:
        nonlocal spoken
        spoken = True
        tell(summary)

    while True:
        try:
            async with join(invitation, end) as room:
                offer: bool | None = None
                while True:
                    if offer is None:
                        say("waiting for the other end")
                        offer = await _company(room, until)
                    offer = await hold(make(), room, offer, source, sink, told)
                    if offer is None:
                        return
        except WayLostError as error:
            if spoken:
                until = time.monotonic() + wait
            say(f"{error}: joining again")
        except RoomError as error:
            if not spoken or time.monotonic() > until:
                raise
            say(str(error))
        if time.monotonic() > until:
            raise NoAnswerError("the other end is gone")
        await asyncio.sleep(PAUSE_S)


async def _company(room: Room, until: float) -> bool:
    """Wait for the other end. Returns whether this one makes the offer."""
    try:
        async with asyncio.timeout(until - time.monotonic()):
            while True:
                heard = await room.hear()
                if heard.peer:
                    return heard.offer
    except TimeoutError:
        raise NoAnswerError("nobody came into the room in time") from None
