"""How sound and packets of a stream travel: as messages of the WebSocket itself, or beside it."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import numpy as np
from websockets.asyncio.server import ServerConnection

from audiodec.bitstream.packet import Arrived
from audiodec.serve.messages import Hello
from audiodec.serve.metrics import Metrics
from audiodec.serve.pcm import from_pcm, to_pcm
from audiodec.serve.streams import DecoderStream, EncoderStream


class Carrier(Protocol):
    """What carries one stream between a client and the model.

    Attributes:
        heard: when it last heard the client other than by a message, by the loop's clock.
    """

    @property
    def heard(self) -> float: ...

    async def take(self, message: bytes) -> None:
        """Take a binary message that has come; returns once there is room for it.

        Raises:
            AudioDecError: it does not fit the stream.
        """
        ...

    def end(self) -> None:
        """Note that the client sends nothing more."""
        ...

    async def run(self) -> None:
        """Carry, until all output is sent after the end. Raises TimeoutError: nobody reads it."""
        ...

    def agreed(self) -> dict[str, Any]:
        """Give what the server's answer says of it."""
        ...

    def account(self) -> dict[str, Any]:
        """Give what the end message says of it."""
        ...


class Messages:
    """Sound and packets as binary messages; a client that does not read makes the stream wait.

    Args:
        idle: seconds that a message may wait to be read.
    """

    heard = 0.0

    def __init__(
        self,
        connection: ServerConnection,
        hello: Hello,
        stream: EncoderStream | DecoderStream,
        idle: float,
        metrics: Metrics,
    ) -> None:
        self._connection, self._stream, self._idle = connection, stream, idle
        self._format, self._metrics = hello.format, metrics

    async def take(self, message: bytes) -> None:
        if isinstance(self._stream, EncoderStream):
            await self._stream.write(from_pcm(message, self._format, self._stream.channels))
        else:
            await self._stream.write(Arrived(message or None))

    def end(self) -> None:
        self._stream.end()

    async def run(self) -> None:
        sent = self._metrics.bytes.labels("out")
        while (output := await self._stream.read()) is not None:
            if isinstance(self._stream, DecoderStream):
                output = [to_pcm(np.concatenate(output, axis=1), self._format)]
            async with asyncio.timeout(self._idle):
                for message in output:
                    await self._connection.send(message)
            sent.inc(sum(map(len, output)))

    def agreed(self) -> dict[str, Any]:
        return {"format": self._format}

    def account(self) -> dict[str, Any]:
        return {}
