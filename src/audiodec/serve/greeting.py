"""The first word on a WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from websockets.asyncio.server import ServerConnection

from audiodec.call.signals import Join
from audiodec.serve.limits import Limits
from audiodec.serve.messages import Close, Hello, RequestError, admit, parse

Greeting = TypeVar("Greeting", Hello, Join)


async def greet(
    connection: ServerConnection, cls: type[Greeting], limits: Limits, tokens: Sequence[str]
) -> Greeting:
    """Wait for what a client asks for in its first message, and give it once it may have it.

    Args:
        cls: of the message.
        tokens: that give access; none: everyone has it.

    Raises:
        RequestError: it comes too late, is no such message, or has no token.
        ConnectionClosed: the client is gone.
    """
    name = cls.__name__.lower()
    try:
        async with asyncio.timeout(limits.hello):
            message = await connection.recv()
    except TimeoutError:
        raise RequestError(f"no {name} in time", Close.IDLE) from None
    if isinstance(message, bytes):
        raise RequestError(f"the first message must be a {name}, in JSON", Close.INVALID)
    greeting = parse(cls, message)
    admit(greeting.token, tokens)
    return greeting
