"""Plain HTTP beside the streams: health, readiness, metrics, files for browsers, and refusals."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from audiodec.serve.company import Company, Readiness
from audiodec.serve.limits import Limits
from audiodec.serve.metrics import Metrics
from audiodec.serve.site import Site

_END = b"\r\n\r\n"  # of a request


class Front(Protocol):
    """Serves WebSockets of one address.

    Attributes:
        connections: open now.
    """

    @property
    def connections(self) -> int: ...

    async def serve(self, connection: ServerConnection) -> None: ...


class OneRequest(ServerConnection):
    """A connection on which one request is answered before anything behind it is read.

    The library would take what is behind a request for a WebSocket's frames even when the request
    asks for no WebSocket: a second request, or the end of what the client sends, would spoil the
    answer to the first.

    Attributes:
        patience: seconds for the request to come; its answer may take longer.
    """

    patience = 10.0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._answered = False
        self._before = b""  # newest bytes of a request that goes on
        self._behind = b""

    def data_received(self, data: bytes) -> None:
        """Pass on what has come, up to the end of the first request."""
        if self._answered or self.request is not None:
            super().data_received(data)
            if self.protocol.close_expected():
                # A queue that was full when the handshake ended would hide the client's end.
                self.transport.resume_reading()
            return
        joined = self._before + data
        end = joined.find(_END) + len(_END) - len(self._before) if _END in joined else len(data)
        self._before = joined[-len(_END) + 1 :]
        super().data_received(data[:end])
        if self.request is not None:
            self._behind = data[end:]
            self.transport.pause_reading()
        elif data[end:]:
            super().data_received(data[end:])  # refused by the library, which ignores the rest

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the request."""
        super().connection_made(transport)
        self.loop.call_later(self.patience, self._give_up)

    def _give_up(self) -> None:
        if self.request is None:
            self.transport.abort()

    async def handshake(
        self, process_request: Any = None, process_response: Any = None, *args: Any, **options: Any
    ) -> None:
        """Answer the first request, then let through what came behind it."""

        def answering(*_: object) -> None:
            self.loop.call_soon(self._let_through)  # the answer is written by then

        try:
            await super().handshake(process_request, answering, *args, **options)
        finally:
            self._let_through()

    def _let_through(self) -> None:
        if not self._answered:
            self._answered = True
            if self.request is not None:
                self.transport.resume_reading()
                if self._behind:
                    super().data_received(self._behind)


def pages(
    fronts: Mapping[str, Front], site: Site | None, draining: Callable[[], bool],
    limits: Limits, metrics: Metrics, company: Company,
) -> Callable[[ServerConnection, Request], Awaitable[Response | None]]:  # fmt: skip
    """Answer requests; None lets one become a WebSocket.

    Args:
        fronts: by the address of their WebSockets.
        site: files for browsers.
        draining: whether the server is about to stop.
        company: all processes that serve this address; whichever is asked speaks for all.
    """

    async def respond(connection: ServerConnection, request: Request) -> Response | None:
        try:
            path = urlsplit(request.path).path
        except ValueError:
            return connection.respond(HTTPStatus.BAD_REQUEST, "no such address\n")
        if request.method not in ("GET", "HEAD") or (path in fronts and request.method == "HEAD"):
            refusal = connection.respond(HTTPStatus.METHOD_NOT_ALLOWED, "ask with GET\n")
            refusal.headers["Allow"] = "GET" if path in fronts else "GET, HEAD"
            return refusal
        if path in fronts:
            return None if await room(path) else full(connection)
        response = await page(connection, path)
        if response is None and site is not None and await site.send(connection, request, path):
            return connection.respond(HTTPStatus.OK, "")  # goes nowhere: it is answered, and closed
        if response is None:
            where = " and ".join(fronts)
            response = connection.respond(HTTPStatus.NOT_FOUND, f"streams are at {where}\n")
        if request.method == "HEAD":
            response.body = b""  # the length stays, as that of a GET
        return response

    async def room(path: str) -> bool:
        if draining():
            return False
        return await company.connections(fronts[path].connections) < limits.connections

    def full(connection: ServerConnection) -> Response:
        metrics.refused.labels("full").inc()
        return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "try again later\n")

    async def page(connection: ServerConnection, path: str) -> Response | None:
        if path == "/healthz":
            if silent := ", ".join(await company.silent()):
                return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, f"silent: {silent}\n")
            return connection.respond(HTTPStatus.OK, "alive\n")
        if path == "/readyz":
            said = Readiness.DRAINING if draining() else await company.readiness()
            ready = said is Readiness.READY
            status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
            return connection.respond(status, f"{said}\n")
        if path == "/metrics":
            response = connection.respond(HTTPStatus.OK, await company.figures())
            del response.headers["Content-Type"]
            response.headers["Content-Type"] = metrics.content_type
            return response
        return None

    return respond
