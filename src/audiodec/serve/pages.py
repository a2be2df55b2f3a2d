"""Plain HTTP beside the streams: health, readiness, metrics, and refusals."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from audiodec.serve.limits import Limits
from audiodec.serve.metrics import Metrics
from audiodec.serve.websocket import WebSockets

PATH = "/stream"
_END = b"\r\n\r\n"  # of a request


class OneRequest(ServerConnection):
    """A connection on which one request is answered before anything behind it is read.

    The library would take what is behind a request for a WebSocket's frames even when the request
    asks for no WebSocket: a second request, or the end of what the client sends, would spoil the
    answer to the first.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._answered = False
        self._before = b""  # newest bytes of a request that goes on
        self._behind = b""

    def data_received(self, data: bytes) -> None:
        """Pass on what has come, up to the end of the first request."""
        if self._answered or self.request is not None:
            super().data_received(data)
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

    async def handshake(self, *args: Any, **options: Any) -> None:
        """Answer the first request, then let through what came behind it."""
        try:
            await super().handshake(*args, **options)
        finally:
            self._answered = True
            if self.request is not None:
                self.transport.resume_reading()
                if self._behind:
                    super().data_received(self._behind)


def pages(
    front: WebSockets, limits: Limits, metrics: Metrics
) -> Callable[[ServerConnection, Request], Response | None]:
    """Answer requests; None lets one become a WebSocket."""

    def respond(connection: ServerConnection, request: Request) -> Response | None:
        try:
            path = urlsplit(request.path).path
        except ValueError:
            return connection.respond(HTTPStatus.BAD_REQUEST, "no such address\n")
        if request.method not in ("GET", "HEAD") or (path, request.method) == (PATH, "HEAD"):
            refusal = connection.respond(HTTPStatus.METHOD_NOT_ALLOWED, "ask with GET\n")
            refusal.headers["Allow"] = "GET" if path == PATH else "GET, HEAD"
            return refusal
        response = page(connection, path)
        if request.method == "HEAD" and response is not None:
            response.body = b""  # the length stays, as that of a GET
        return response

    def page(connection: ServerConnection, path: str) -> Response | None:
        if path == "/healthz":
            return connection.respond(HTTPStatus.OK, "alive\n")
        if path == "/readyz":
            if front.draining:
                return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "draining\n")
            return connection.respond(HTTPStatus.OK, "ready\n")
        if path == "/metrics":
            response = connection.respond(HTTPStatus.OK, metrics.text().decode())
            del response.headers["Content-Type"]
            response.headers["Content-Type"] = metrics.content_type
            return response
        if path != PATH:
            return connection.respond(HTTPStatus.NOT_FOUND, f"streams are at {PATH}\n")
        if front.draining or front.connections >= limits.connections:
            metrics.refused.labels("full").inc()
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "try again later\n")
        return None

    return respond
