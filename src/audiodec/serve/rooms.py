"""Rooms: where the two ends of a call find each other before they speak directly (signalling).

A connection joins one room, of two places. What one end says then reaches the other one, checked
and bounded; no sound passes here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from audiodec.call.signals import MAX_SIGNAL_BYTES, IceServer, Join, Signal
from audiodec.errors import ConfigError
from audiodec.serve.greeting import greet
from audiodec.serve.limits import Budget, Limits
from audiodec.serve.messages import Close, RequestError, parse
from audiodec.serve.metrics import Metrics
from audiodec.serve.parting import part

PLACES = 2  # in a room
SIGNAL_RATE = 65536  # bytes per second that are read from one end
PING_EVERY_S = 10.0  # seconds between looks whether an end is still there


def read_ice(file: Path) -> list[dict[str, Any]]:
    """Read STUN and TURN servers from a JSON file: a list of objects as `IceServer` says.

    Raises:
        ConfigError: the file cannot be read, or says something else.
    """
    try:
        servers = TypeAdapter(list[IceServer]).validate_json(file.read_bytes())
    except OSError as error:
        raise ConfigError(f"ICE servers cannot be read: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(
            f'{file}: {where} {first["msg"]}: write [{{"urls": "stun:HOST:PORT"}}, {{"urls": '
            '"turn:HOST:PORT", "username": "...", "credential": "..."}]'
        ) from None
    return [server.model_dump(exclude_none=True) for server in servers]


@dataclass(eq=False)
class _Seat:
    """An end in a room."""

    end: str
    connection: ServerConnection


class Rooms:
    """Serves the connections that join rooms; whatever one sends, only that one ends.

    Args:
        tokens: that give access; none: everyone has it.
        ice: STUN and TURN servers that ends are told of, as browsers take them.
    """

    def __init__(
        self, limits: Limits, tokens: Sequence[str], ice: Sequence[dict[str, Any]], metrics: Metrics
    ) -> None:
        self._limits, self._tokens, self._ice = limits, tokens, list(ice)
        self._metrics = metrics
        self._rooms: dict[str, list[_Seat]] = {}
        self._open: set[ServerConnection] = set()
        self._draining = False

    @property
    def connections(self) -> int:
        """Open now, in a room or not yet."""
        return len(self._open)

    async def drain(self) -> None:
        """Send everybody away; calls go on without."""
        self._draining = True
        await asyncio.gather(*(part(open_, Close.LEAVING, "") for open_ in self._open))

    async def serve(self, connection: ServerConnection) -> None:
        """Serve a connection, from joining to leaving."""
        self._open.add(connection)
        try:
            await self._serve(connection)
        except RequestError as error:
            await part(connection, error.close, str(error))
        except ConnectionClosed:
            pass
        finally:
            self._open.discard(connection)

    async def _serve(self, connection: ServerConnection) -> None:
        """Serve it; raises RequestError and ConnectionClosed."""
        try:
            join = await greet(connection, Join, self._limits, self._tokens)
            seat, older, other = self._sit(join, connection)
        except RequestError as error:
            self._metrics.refused.labels(error.close.name.lower()).inc()
            raise
        self._metrics.opened.labels("room").inc()
        self._metrics.open.labels("room").inc()
        try:
            await connection.send(json.dumps({"joined": join.room, "ice": self._ice}))
            if other is not None:
                # Who comes second makes the offer: the first one listens by then.
                await self._tell(other, {"peer": True, "offer": False})
                await self._tell(seat, {"peer": True, "offer": True})
            if older is not None:
                await part(older.connection, Close.REPLACED, "this end has joined anew")
            async with asyncio.TaskGroup() as both:
                both.create_task(self._relay(join.room, seat))
                both.create_task(self._watch(connection))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None  # the first; the other task was cancelled
        finally:
            self._metrics.open.labels("room").dec()
            await self._stand_up(join.room, seat)

    def _sit(
        self, join: Join, connection: ServerConnection
    ) -> tuple[_Seat, _Seat | None, _Seat | None]:
        """Find a place: it, the one that the same end had before, and the other end's."""
        if self._draining:
            raise RequestError("the server is about to stop", Close.FULL)
        seats = self._rooms.get(join.room, [])
        older = next((seat for seat in seats if seat.end == join.end), None)
        if older is None:
            if len(seats) >= PLACES:
                raise RequestError("two are in this room already", Close.FULL)
            if sum(map(len, self._rooms.values())) >= self._limits.streams:
                raise RequestError("all places are taken; try again later", Close.FULL)
        seat = _Seat(join.end, connection)
        others = [each for each in seats if each is not older]
        self._rooms[join.room] = [*others, seat]
        return seat, older, others[0] if others else None

    async def _stand_up(self, room: str, seat: _Seat) -> None:
        left = [each for each in self._rooms.get(room, []) if each is not seat]
        replaced = any(each.end == seat.end for each in left)
        if left:
            self._rooms[room] = left
        else:
            self._rooms.pop(room, None)
        for other in () if replaced else left:
            await self._tell(other, {"peer": False})

    async def _relay(self, room: str, seat: _Seat) -> None:
        """Pass on what an end says to the other one."""
        budget = Budget(SIGNAL_RATE)
        while True:
            message = await seat.connection.recv()
            await budget.spend(len(message))
            if isinstance(message, bytes):
                raise RequestError("messages in a room are JSON", Close.INVALID)
            signal = parse(Signal, message, MAX_SIGNAL_BYTES)
            seats = self._rooms.get(room, [])
            if seat not in seats:
                return  # its place is taken by the same end, come anew
            for other in seats:
                if other is not seat:
                    await self._tell(other, signal.model_dump(exclude_unset=True))

    async def _tell(self, seat: _Seat, message: dict[str, Any]) -> None:
        """Send, unless that end is gone; one that does not read is sent away."""
        try:
            async with asyncio.timeout(self._limits.idle):
                await seat.connection.send(json.dumps(message))
        except ConnectionClosed:
            pass
        except TimeoutError:
            seat.connection.transport.abort()

    async def _watch(self, connection: ServerConnection) -> None:
        """Find out that an end is gone without a word, and make room."""
        while True:
            await asyncio.sleep(PING_EVERY_S)
            with suppress(TimeoutError):
                pong = await connection.ping()
                async with asyncio.timeout(self._limits.idle):
                    await pong
                continue
            raise RequestError("nothing was heard for too long", Close.IDLE)
