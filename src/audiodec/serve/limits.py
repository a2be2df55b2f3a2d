"""What one server gives, and one connection may take."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

STREAMS_PER_WORKER = 32  # streams that a core holds at least, both directions together
MIN_COST_BYTES = 64  # bytes a message is charged at least: a flood of empty ones costs work too


@dataclass(frozen=True)
class Limits:
    """Limits of a server.

    Attributes:
        streams: open at once, both directions together.
        message: bytes of one message.
        rate: bytes per second that are read from one connection, after a second's worth at once;
            the rest waits in the sender's socket, datagrams are dropped. 48 kHz float32 takes
            192,000.
        idle: seconds without a message, or with a reader that takes none, before a stream ends.
        hello: seconds a connection has to say what it wants.
        drain: seconds that open streams have to end when the server is told to.
    """

    streams: int = STREAMS_PER_WORKER
    message: int = 65536
    rate: int = 1_000_000
    idle: float = 30.0
    hello: float = 5.0
    drain: float = 30.0

    @property
    def connections(self) -> int:
        """Open at once, with those that have not said hello and those that ask for metrics."""
        return self.streams + 32


class Budget:
    """Bytes per second of one connection (a token bucket that may go into debt)."""

    def __init__(self, rate: int) -> None:
        self._rate, self._left = rate, float(rate)
        self._at = asyncio.get_running_loop().time()

    async def spend(self, count: int) -> None:
        """Take note of `count` bytes; returns when they are paid for."""
        self._earn()
        self._left -= max(count, MIN_COST_BYTES)
        if self._left < 0:
            await asyncio.sleep(-self._left / self._rate)

    def affords(self, count: int) -> bool:
        """Pay for `count` bytes if there is enough for them."""
        self._earn()
        paid = self._left >= max(count, MIN_COST_BYTES)
        self._left -= max(count, MIN_COST_BYTES) if paid else 0
        return paid

    def _earn(self) -> None:
        now = asyncio.get_running_loop().time()
        self._left = min(self._left + (now - self._at) * self._rate, self._rate)
        self._at = now
