"""Clients that come, go, stall and misbehave, for long: nothing may leak, mix or get lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from audiodec.evaluation.load.client import MAX_WAIT_S, LoadError
from audiodec.evaluation.load.ramp import Plan
from audiodec.evaluation.load.server import Server

MIN_SECONDS = 2.0  # seconds that a client speaks at least
MISBEHAVING = 0.2  # share of clients
LOOK_EVERY_S = 5.0  # seconds between looks at memory and latency
STALL_S = 5.0  # seconds that a stalled client says and reads nothing


@dataclass(frozen=True)
class Look:
    """A moment of a soak.

    Attributes:
        seconds: since its start.
        clients: speaking.
        p99: ms, of the packets since the last look.
        memory: MB.
        cores: of CPU since the last look.
    """

    seconds: float
    clients: int
    p99: float
    memory: float
    cores: float


@dataclass
class Soak:
    """What came of it.

    Attributes:
        ended: how clients that spoke properly ended, counted.
        misbehaved: how those ended that did not.
        wrong: what may not happen, in words.
        packets: answered and checked.
        counted: by the server: what it refused, closed and dropped, by reason, the ramp included.
    """

    looks: list[Look] = field(default_factory=list)
    ended: dict[str, int] = field(default_factory=dict)
    misbehaved: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    packets: int = 0
    counted: dict[str, float] = field(default_factory=dict)


async def soak(
    server: Server, plan: Plan, clients: int, minutes: float, on_look: Callable[[Look], object]
) -> Soak:
    """Keep so many clients there for so long; each that ends is followed by another one."""
    rng, result, loop = np.random.default_rng(0), Soak(), asyncio.get_running_loop()
    latencies: list[float] = []
    start, speaking, over = loop.time(), 0, asyncio.Event()

    def note(latency: float) -> None:
        latencies.append(1000 * latency)
        result.packets += 1

    async def place(number: int) -> None:
        nonlocal speaking
        await asyncio.sleep(number * 0.05)
        while not over.is_set():
            if rng.random() < MISBEHAVING:
                name = list(MISDEEDS)[int(rng.integers(len(MISDEEDS)))]
                how = f"{name}: {await _told(MISDEEDS[name](server, plan, number))}"
                result.misbehaved[how] = result.misbehaved.get(how, 0) + 1
                continue
            most = len(plan.voices[0].packets)
            packets = int(rng.integers(int(MIN_SECONDS / plan.period), most + 1))
            who = int(rng.integers(len(plan.voices) * len(plan.kinds)))
            speaking += 1
            try:
                how = await _told(plan.client(server, who, note).run(packets))
            except LoadError as error:
                how = f"wrong: {error}"
                result.wrong.append(str(error))
            speaking -= 1
            result.ended[how] = result.ended.get(how, 0) + 1

    places = [asyncio.create_task(place(number)) for number in range(clients)]
    cpu = server.cpu_seconds()
    while loop.time() - start < 60 * minutes:
        before = loop.time()
        await asyncio.sleep(LOOK_EVERY_S)
        used, cpu = server.cpu_seconds() - cpu, server.cpu_seconds()
        p99 = float(np.percentile(latencies, 99)) if latencies else float("nan")
        latencies.clear()
        look = Look(
            loop.time() - start, speaking, p99, server.memory(), used / (loop.time() - before)
        )
        result.looks.append(look)
        on_look(look)
    over.set()
    await asyncio.gather(*places)
    result.counted = await asyncio.to_thread(server.counted)
    return result


async def _told(end: object) -> str:
    """Say how a client ended, in words."""
    try:
        return str(await end)  # type: ignore[misc]
    except ConnectionClosed as closed:
        return f"closed: {closed.rcvd.code} {closed.rcvd.reason}" if closed.rcvd else "cut off"
    except (OSError, TimeoutError) as error:
        return type(error).__name__


async def _vanish(server: Server, plan: Plan, number: int) -> str:
    """Be gone in the middle of a word."""
    async with connect(server.url, compression=None, ping_interval=None) as socket:
        await plan.client(server, number, print).greet(socket)
        await socket.send(plan.voices[0].sound[0][:100])
        socket.transport.abort()
    return "gone"


async def _stall(server: Server, plan: Plan, number: int) -> str:
    """Say nothing for a while, then go on."""
    async with connect(server.url, compression=None, ping_interval=None) as socket:
        await plan.client(server, number, print).greet(socket)
        await asyncio.sleep(STALL_S)
        await socket.send(json.dumps({"end": True}))
        async with asyncio.timeout(MAX_WAIT_S):
            while "end" not in (said := json.loads(await socket.recv())):
                pass
        return f"complete, {said['packets']} packets"


async def _babble(server: Server, plan: Plan, number: int) -> str:
    """Send what is no packet and no sound."""
    async with connect(server.url, compression=None, ping_interval=None) as socket:
        await plan.client(server, number, print).greet(socket)
        await socket.send(bytes([255] * 333))
        async with asyncio.timeout(MAX_WAIT_S):
            while True:
                await socket.recv()


async def _flood(server: Server, plan: Plan, number: int) -> str:
    """Send a message that is far too long."""
    async with connect(server.url, compression=None, ping_interval=None) as socket:
        await plan.client(server, number, print).greet(socket)
        await socket.send(bytes(1 << 20))
        async with asyncio.timeout(MAX_WAIT_S):
            while True:
                await socket.recv()


async def _ask_nonsense(server: Server, plan: Plan, number: int) -> str:
    """Begin with what is no hello."""
    async with connect(server.url, compression=None, ping_interval=None) as socket:
        await socket.send('{"mode": "both"}')
        async with asyncio.timeout(MAX_WAIT_S):
            while True:
                await socket.recv()


MISDEEDS = {
    "vanishes": _vanish, "stalls": _stall, "babbles": _babble, "floods": _flood,
    "asks nonsense": _ask_nonsense,
}  # fmt: skip
