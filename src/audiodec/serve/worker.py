"""One of several processes that serve one address: its own model, batch and port of datagrams.

python -m audiodec.serve.worker CHANNEL WAY    # descriptors of sockets, from a supervisor
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from typing import Any

from pydantic import ValidationError

from audiodec.ending import SIGNALS
from audiodec.errors import ConfigError
from audiodec.serve.address import check_access
from audiodec.serve.channel import Channel
from audiodec.serve.company import Readiness
from audiodec.serve.handover import HandedOver
from audiodec.serve.metrics import Metrics
from audiodec.serve.offer import BEGIN
from audiodec.serve.server import Service
from audiodec.serve.totals import snapshot


class Member:
    """The company that a worker is in: it asks the supervisor."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def take(self) -> bool:
        return bool(await self._channel.ask("take"))

    def give(self) -> None:
        self._channel.tell("give")

    async def connections(self, own: int) -> int:
        return int(await self._channel.ask("connections"))

    async def readiness(self) -> Readiness:
        return Readiness(await self._channel.ask("readiness"))

    async def silent(self) -> list[str]:
        return list(await self._channel.ask("silent"))

    async def figures(self) -> str:
        return str(await self._channel.ask("figures"))


class Worker:
    """Serves connections that are handed over, until told to drain or the supervisor is gone.

    Args:
        way: descriptor of the socket by which connections come.
    """

    def __init__(self, way: int) -> None:
        self._way, self._metrics = way, Metrics()
        self._begun, self._stop = asyncio.Event(), asyncio.Event()
        self._serving: asyncio.Task[None] | None = None

    async def run(self, control: socket.socket) -> None:
        """Do as the other end of the channel says."""
        answers = {"begin": self._begin, "figures": self._figures, "drain": self._drain}
        self._channel = await Channel.over(control, answers)
        listening = asyncio.create_task(self._channel.run())
        listening.add_done_callback(self._supervisor_is_gone)
        await self._begun.wait()
        if self._serving is not None:
            await self._serving
        self._channel.tell("last figures", snapshot(self._metrics.registry))
        await self._channel.close()
        await listening

    def _supervisor_is_gone(self, _: object) -> None:
        self._begun.set()
        self._stop.set()

    async def _begin(self, about: Any) -> int:
        """Begin to serve; gives the number of this process."""
        try:
            begin = BEGIN.validate_python(about)
        except ValidationError:
            raise ConfigError(
                "another version of audiodec is installed now, to which this process cannot hand "
                "over: start it anew"
            ) from None
        offer = begin.order.load()
        check_access(begin.host, offer.tokens)
        service = Service(offer, self._metrics, Member(self._channel))
        gate = HandedOver(self._way, lambda: self._channel.tell("closed"))
        server = await service.listen(sock=gate)
        started = asyncio.get_running_loop().create_future()
        self._serving = asyncio.create_task(
            service.run(
                server, begin.address, begin.udp_port, self._stop, lambda: started.set_result(None)
            )
        )
        await asyncio.wait([started, self._serving], return_when=asyncio.FIRST_COMPLETED)
        if not started.done():
            await self._serving
        self._begun.set()
        return os.getpid()

    async def _figures(self, _: Any) -> Any:
        return snapshot(self._metrics.registry)

    async def _drain(self, _: Any) -> None:
        self._stop.set()


def main() -> None:
    """Run the worker that a supervisor has started."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # all go to the supervisor, and some to all of us
    channel, way = map(int, sys.argv[1:])
    asyncio.run(Worker(way).run(socket.socket(fileno=channel)))


if __name__ == "__main__":
    main()
