"""Questions and answers between a supervisor and a worker: JSON, a line each, both ways."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from audiodec.errors import AudioDecError, ConfigError

MAX_LINE_BYTES = 1 << 24  # bytes of a line: the figures of a hundred workers are some hundred KB

logger = logging.getLogger(__name__)

Answers = Mapping[str, Callable[[Any], Awaitable[Any]]]


class Channel:
    """One end of a channel between two processes of this program.

    Args:
        answers: by the name of a question, what answers it, given what it is about. An
            AudioDecError that it raises is raised where it was asked.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: Answers
    ) -> None:
        self._reader, self._writer, self._answers = reader, writer, answers
        self._numbers = itertools.count()
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._open = True

    @classmethod
    async def over(cls, own: socket.socket, answers: Answers) -> Channel:
        """Make a channel of one end of a pair of sockets."""
        return cls(*await asyncio.open_connection(sock=own, limit=MAX_LINE_BYTES), answers)

    async def ask(self, question: str, about: Any = None) -> Any:
        """Ask the other end, and wait for its answer.

        Raises:
            ConfigError: what the other end could not do, in its words.
            ConnectionError: the other end is gone.
        """
        if not self._open:
            raise ConnectionResetError("the other process is gone")
        number = next(self._numbers)
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            self._send({"number": number, "ask": question, "about": about})
            return await answer
        finally:
            del self._asked[number]

    def tell(self, what: str, about: Any = None) -> None:
        """Say something that needs no answer."""
        self._send({"ask": what, "about": about})

    async def run(self) -> None:
        """Answer the other end until it is gone."""
        with suppress(ConnectionError):
            while line := await self._reader.readline():
                message = json.loads(line)
                if "ask" in message:
                    task = asyncio.create_task(self._answer(message))
                    self._answering.add(task)
                    task.add_done_callback(self._answering.discard)
                else:
                    self._take_answer(message)
        self._open = False
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(ConnectionResetError("the other process is gone"))

    async def close(self) -> None:
        """Close this end, once all is sent; the other one finds out."""
        with suppress(ConnectionError):
            self._writer.close()
            await self._writer.wait_closed()

    async def _answer(self, message: dict[str, Any]) -> None:
        try:
            answer = {"answer": await self._answers[message["ask"]](message["about"])}
        except AudioDecError as error:
            answer = {"error": str(error)}
        except Exception as error:  # or the other end would wait for ever
            logger.exception("asked for %s", message["ask"])
            answer = {"error": f"{type(error).__name__}: {error}"}
        if "number" in message:
            self._send({"number": message["number"], **answer})

    def _take_answer(self, message: dict[str, Any]) -> None:
        asked = self._asked.get(message["number"])
        if asked is None or asked.done():
            return  # nobody waits for it any more
        if "error" in message:
            asked.set_exception(ConfigError(message["error"]))
        else:
            asked.set_result(message["answer"])

    def _send(self, message: dict[str, Any]) -> None:
        self._writer.write(json.dumps(message).encode() + b"\n")
