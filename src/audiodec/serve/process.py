"""A worker as its supervisor sees it: a process, a channel, a way for connections."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import Any

from audiodec.errors import ConfigError
from audiodec.serve.channel import Answers, Channel
from audiodec.serve.handover import hand_over

MODULE = "audiodec.serve.worker"


class Process:
    """A fresh interpreter that serves connections; what it took is its own and ends with it.

    Args:
        number: of the worker.

    Attributes:
        pid: its number in the system, once it serves.
        connections, streams: that it has.
        began: when it began to serve, by the loop's clock.
        heard: when it last told its figures.
        expected: whether it was told to end.
    """

    def __init__(self, number: int) -> None:
        self.number, self.pid = number, 0
        self.connections = self.streams = 0
        self.began = self.heard = asyncio.get_running_loop().time()
        self.expected = False

    async def start(self, answers: Answers) -> None:
        """Start it; then `begin` and `watch` it, or `kill` it."""
        control, its_control = socket.socketpair()
        self._way, its_way = socket.socketpair()
        self._way.setblocking(False)
        descriptors = (its_control.fileno(), its_way.fileno())
        with its_control, its_way:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", MODULE, *map(str, descriptors),
                # Our path, so that no module in the working folder is taken for one of ours.
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONSAFEPATH": "1"},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                pass_fds=descriptors,
                start_new_session=True,  # a terminal's signals are for the supervisor
            )  # fmt: skip
        self._channel = await Channel.over(control, answers)
        self._listening = asyncio.create_task(self._channel.run())

    async def begin(self, about: Any) -> None:
        """Let it load what it serves. Raises ConfigError, in its words."""
        try:
            self.pid = await self._channel.ask("begin", about)
        except ConnectionError:
            raise ConfigError(f"a worker ended before it served: {await self.ended()}") from None
        self.began = self.heard = asyncio.get_running_loop().time()

    def hand_over(self, connection: socket.socket) -> bool:
        """Hand a connection over; returns False if it takes none."""
        taken = hand_over(connection, self._way)
        self.connections += taken
        return taken

    async def figures(self) -> Any:
        """Ask what it has counted; None: it is gone."""
        with suppress(ConnectionError):
            figures = await self._channel.ask("figures")
            self.heard = asyncio.get_running_loop().time()
            return figures
        return None

    def drain(self) -> None:
        """Tell it to end, once its streams have."""
        self.expected = True
        self._channel.tell("drain")

    async def ended(self) -> str:
        """Wait for its end, and say how that came. What it said before has been heard."""
        status = await self._process.wait()
        await self._listening
        self._way.close()
        if status < 0:
            with suppress(ValueError):
                return signal.Signals(-status).name
        return f"exit status {status}"

    def kill(self) -> None:
        """End it at once, whatever it does."""
        self.expected = True
        with suppress(ProcessLookupError):
            self._process.kill()
