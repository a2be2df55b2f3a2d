"""The last word on a WebSocket."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConcurrencyError, ConnectionClosed

from audiodec.serve.messages import Close

FAREWELL_S = 2.0  # seconds a client has for the closing handshake


async def part(connection: ServerConnection, code: Close, reason: str) -> None:
    """Close, whether the client reads or not: the library waits for one that does not."""
    with suppress(ConnectionClosed, TimeoutError):
        async with asyncio.timeout(FAREWELL_S):
            if reason:
                await connection.send(json.dumps({"error": reason}))
            unread = asyncio.create_task(_discard(connection))
            await connection.close(code, reason)
            await unread
    connection.transport.abort()


async def _discard(connection: ServerConnection) -> None:
    """Take what is unread, unless somebody else does: behind a full queue, the client's half of the
    handshake is not seen."""
    with suppress(ConnectionClosed, ConcurrencyError):
        while True:
            await connection.recv()
