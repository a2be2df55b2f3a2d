"""Several processes that serve one address: started, balanced, replaced, renewed and ended.

The supervisor has no model. It listens, and hands each connection to the worker that has the
fewest: workers that all accept from one socket would share unevenly, as the system wakes the
last one first (or, with SO_REUSEPORT, draws by chance).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import Counter, Gauge

from audiodec.errors import AudioDecError, ConfigError
from audiodec.serve.address import Address, listening_at
from audiodec.serve.channel import Answers
from audiodec.serve.company import Readiness
from audiodec.serve.handover import can_hand_over
from audiodec.serve.offer import BEGIN, Begin, Order
from audiodec.serve.process import Process
from audiodec.serve.totals import Totals

BACKLOG = 512  # connections that wait to be accepted
COLLECT_EVERY_S = 1.0  # seconds between looks at what workers have counted
COLLECT_WITHIN_S = 1.0  # seconds for which an answer waits for their figures
SILENT_S = 10.0  # seconds without an answer after which a worker is told of as silent
SHORT_LIFE_S = 10.0  # seconds; who dies sooner died at once
MAX_SHORT_LIVES = 5  # in a row; then the server ends
PAUSE_S = 0.2  # seconds before a worker is replaced, for each short life in a row
KILL_AFTER_S = 5.0  # seconds beyond the drain


class Supervisor:
    """Keeps so many workers serving.

    Args:
        count: workers.
        say: told in a line what happens to them.

    Raises:
        ConfigError: this system cannot hand connections over.
    """

    def __init__(self, order: Order, count: int, say: Callable[[str], object]) -> None:
        if not can_hand_over():
            raise ConfigError(
                "this system hands no sockets from process to process: leave --workers out"
            )
        self._order, self._count, self._say = order, count, say
        self._serving: dict[int, Process] = {}  # by number
        self._leaving: dict[int, Process] = {}  # have connections from before a renewal
        self._there = asyncio.Event()  # somebody serves
        self._changed = asyncio.Event()  # somebody is gone
        self._changing = asyncio.Lock()  # of those who serve
        self._draining, self._short_lives = False, 0
        self._totals = Totals()
        alive = Gauge("audiodec_workers", "Workers.", registry=self._totals.registry)
        alive.set_function(lambda: len(self._serving) + len(self._leaving))
        self._deaths = Counter(
            "audiodec_workers_replaced", "Workers that died.", registry=self._totals.registry
        )

    async def serve(
        self, host: str, port: int, stop: asyncio.Event, renew: asyncio.Event,
        started: Callable[[str], object],
    ) -> None:  # fmt: skip
        """Serve until told to stop, then drain.

        Args:
            port: of WebSockets, and the first of those of datagrams, of which each worker has one,
                and each that takes the place of one; 0 takes free ones.
            renew: set to let new workers take over from these, with what the files hold now.
            started: told the address of the streams once it can be opened.

        Raises:
            AudioDecError: the address cannot be used, a worker cannot begin, or they die again
                and again.
        """
        with listening_at(host, port):
            sockets = await _bind(host, port)  # connections wait for the first worker
        self._host, self._udp_port, self._address = host, port, Address.of(sockets)
        try:
            await self._begin_all(range(self._count))
            async with asyncio.TaskGroup() as self._group:
                begin = self._group.create_task
                for process in self._serving.values():
                    begin(self._watch(process))
                tasks = [begin(self._accept(own)) for own in sockets]
                tasks += [begin(self._collect_often())]
                renewing = begin(self._renew_when(renew))
                started(self._address.url(self._order.certificate is not None))
                await stop.wait()
                renewing.cancel()
                await self._drain()
                for task in tasks:
                    task.cancel()
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            for own in sockets:
                own.close()
            for process in self._all:
                process.kill()

    @property
    def _all(self) -> list[Process]:
        return [*self._serving.values(), *self._leaving.values()]

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listening)
            except OSError:  # too many files are open
                await asyncio.sleep(0.1)
                continue
            with connection:
                await self._there.wait()
                fewest = sorted(self._serving.values(), key=lambda each: each.connections)
                # If nobody takes it, it is closed, and its client may try again.
                any(process.hand_over(connection) for process in fewest)

    # Workers

    async def _begin(self, number: int) -> Process:
        """Start a worker. Raises AudioDecError."""
        process = Process(number)
        await process.start(self._answers(process))
        udp_port = self._udp_port and self._udp_port + number
        begin = Begin(self._order, self._host, self._address, udp_port)
        try:
            await process.begin(BEGIN.dump_python(begin, mode="json"))
        except BaseException:
            process.kill()
            raise
        return process

    async def _begin_all(self, numbers: Iterable[int]) -> list[Process]:
        """Start workers at once, which serve in place of those that do; all, or none and an
        AudioDecError."""
        begun = await asyncio.gather(*map(self._begin, numbers), return_exceptions=True)
        processes = [each for each in begun if isinstance(each, Process)]
        if len(processes) < len(begun):
            for process in processes:
                process.kill()
            raise next(each for each in begun if isinstance(each, BaseException))
        self._leaving |= self._serving
        self._serving = {}
        for process in processes:
            self._let_serve(process)
        return processes

    def _let_serve(self, process: Process) -> None:
        self._serving[process.number] = process
        self._there.set()
        self._say(f"worker {process.number} serves: process {process.pid}")

    async def _watch(self, process: Process) -> None:
        """Wait for a worker's end, and replace it if that was not asked for."""
        how = await process.ended()
        self._totals.bury(process.number)
        serving = self._serving.get(process.number) is process
        (self._serving if serving else self._leaving).pop(process.number)
        if not self._serving:
            self._there.clear()
        self._changed.set()
        if process.expected:
            return
        self._deaths.inc()
        self._say(f"worker {process.number} died ({how}), and with it {process.streams} streams")
        short = asyncio.get_running_loop().time() - process.began < SHORT_LIFE_S
        self._short_lives = self._short_lives + 1 if short else 0
        if serving:
            await self._replace(process.number, how)

    async def _replace(self, number: int, how: str) -> None:
        while not self._draining:
            if self._short_lives >= MAX_SHORT_LIVES:
                raise ConfigError(
                    f"{self._short_lives} workers in a row died as soon as they served ({how}): "
                    "the server ends"
                )
            await asyncio.sleep(PAUSE_S * self._short_lives)
            async with self._changing:
                if len(self._serving) == self._count:
                    return  # all were renewed meanwhile
                try:
                    process = await self._begin(number)
                except AudioDecError as error:
                    self._short_lives, how = self._short_lives + 1, str(error)
                    continue
                self._let_serve(process)
            self._group.create_task(self._watch(process))
            return

    async def _renew_when(self, renew: asyncio.Event) -> None:
        while True:
            await renew.wait()
            renew.clear()
            if self._leaving:
                self._say("workers from before the last renewal have streams: it waits for them")
            while self._leaving:
                self._changed.clear()
                await self._changed.wait()
            async with self._changing:
                free = [n for n in range(2 * self._count) if n not in self._serving]
                try:
                    processes = await self._begin_all(free[: self._count])
                except AudioDecError as error:
                    self._say(f"warning: nothing is renewed, all goes on as before: {error}")
                    continue
            for process in processes:
                self._group.create_task(self._watch(process))
            for process in list(self._leaving.values()):
                self._let_leave(process)

    def _let_leave(self, process: Process) -> None:
        """Let a worker that gets no new connections end, once it has none."""
        if process.number in self._leaving and process.connections == 0:
            process.drain()

    async def _drain(self) -> None:
        self._draining = True
        for process in self._all:
            process.drain()
        try:
            async with asyncio.timeout(self._order.limits.drain + KILL_AFTER_S):
                while self._all:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            for process in self._all:
                self._say(f"warning: worker {process.number} did not end, and is ended")
                process.kill()

    # What workers ask

    def _answers(self, process: Process) -> Answers:
        limits = self._order.limits

        async def take(_: Any) -> bool:
            free = sum(each.streams for each in self._all) < limits.streams
            process.streams += free
            return free

        async def give(_: Any) -> None:
            process.streams -= 1

        async def closed(_: Any) -> None:
            process.connections -= 1
            self._let_leave(process)

        async def connections(_: Any) -> int:
            return sum(each.connections for each in self._all) - 1  # without the one that asks

        async def readiness(_: Any) -> Readiness:
            if self._draining:
                return Readiness.DRAINING
            full = sum(each.streams for each in self._all) >= limits.streams
            return Readiness.FULL if full else Readiness.READY

        async def silent(_: Any) -> list[str]:
            since = asyncio.get_running_loop().time() - SILENT_S
            return [f"worker {each.number}" for each in self._all if each.heard < since]

        async def figures(_: Any) -> str:
            await self._collect()
            return self._totals.text()

        async def last_figures(counted: Any) -> None:
            self._totals.update(process.number, counted)

        return {
            "take": take, "give": give, "closed": closed, "connections": connections,
            "readiness": readiness, "silent": silent, "figures": figures,
            "last figures": last_figures,
        }  # fmt: skip

    async def _collect(self) -> None:
        """Ask all workers what they have counted; those that do not answer keep what they said."""

        async def one(process: Process) -> None:
            counted = await process.figures()
            if counted is not None and process in self._all:
                self._totals.update(process.number, counted)

        asked = [asyncio.create_task(one(process)) for process in self._all]
        if asked:
            _, waiting = await asyncio.wait(asked, timeout=COLLECT_WITHIN_S)
            for task in waiting:
                task.cancel()

    async def _collect_often(self) -> None:
        """Keep what is known of a worker that dies near to what it had counted."""
        while True:
            await self._collect()
            await asyncio.sleep(COLLECT_EVERY_S)


async def _bind(host: str, port: int) -> list[socket.socket]:
    """Listen at all addresses of a host; accepting is the caller's."""
    loop = asyncio.get_running_loop()
    bound = await loop.create_server(asyncio.Protocol, host, port, start_serving=False)
    sockets = [own.dup() for own in bound.sockets]
    bound.close()
    for own in sockets:
        own.setblocking(False)
        own.listen(BACKLOG)
    return sockets
