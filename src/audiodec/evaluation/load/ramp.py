"""More and more clients, until packets miss their deadline."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from audiodec.evaluation.load.client import Client, Kind
from audiodec.evaluation.load.server import Server
from audiodec.evaluation.load.voices import Voice

SETTLE_S = 1.0  # seconds of a step that are not counted: clients begin
STAGGER_S = 0.02  # seconds between the beginnings of clients


@dataclass(frozen=True)
class Step:
    """What so many clients at once got.

    Attributes:
        clients: speaking at once.
        p50, p99: ms from the last sample of a packet to its answer.
        late: share of packets beyond their deadline.
        cores: of CPU that the server took.
        memory: MB, the server's own.
        ended: how the clients ended, counted.
    """

    clients: int
    p50: float
    p99: float
    late: float
    cores: float
    memory: float
    ended: dict[str, int]


@dataclass(frozen=True)
class Plan:
    """How clients of a test speak.

    Attributes:
        kinds: of clients, taken in turn.
        frames: in every packet.
        deadline: ms that a packet may take.
        token: access.
    """

    voices: Sequence[Voice]
    kinds: Sequence[Kind]
    frames: int
    deadline: float
    token: str = ""

    @property
    def period(self) -> float:
        """Seconds of a packet."""
        return self.voices[0].format.seconds

    def client(self, server: Server, number: int, on_latency: Callable[[float], object]) -> Client:
        """Make the client of a number."""
        voice = self.voices[number // len(self.kinds) % len(self.voices)]
        kind = self.kinds[number % len(self.kinds)]
        return Client(server.url, kind, voice, self.frames, self.period, self.token, on_latency)


async def measure(server: Server, plan: Plan, clients: int, seconds: float) -> Step:
    """Let so many clients speak at once."""
    latencies: list[float] = []
    loop, counting = asyncio.get_running_loop(), False

    def note(latency: float) -> None:
        if counting:
            latencies.append(1000 * latency)

    async def one(number: int) -> str:
        await asyncio.sleep(number * STAGGER_S)
        packets = len(plan.voices[0].packets)
        return await plan.client(server, number, note).run(packets, over)

    over = asyncio.Event()
    tasks = [asyncio.create_task(one(number)) for number in range(clients)]
    await asyncio.sleep(clients * STAGGER_S + SETTLE_S)
    counting, cpu, since = True, server.cpu_seconds(), loop.time()
    await asyncio.sleep(seconds)
    counting, cores = False, (server.cpu_seconds() - cpu) / (loop.time() - since)
    memory = server.memory()
    over.set()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    told = Counter(each if isinstance(each, str) else repr(each) for each in ended)
    times = np.array(latencies) if latencies else np.array([np.inf])
    p50, p99 = map(float, np.percentile(times, (50, 99)))
    late = float(np.mean(times > plan.deadline))
    return Step(clients, p50, p99, late, cores, memory, dict(told))


async def ramp(
    server: Server, plan: Plan, step: int, most: int, seconds: float,
    on_step: Callable[[Step], object],
) -> list[Step]:  # fmt: skip
    """Measure `step` clients, twice as many and so on, until p99 misses the deadline twice."""
    steps: list[Step] = []
    for clients in itertools.takewhile(lambda n: n <= most, itertools.count(step, step)):
        steps.append(await measure(server, plan, clients, seconds))
        on_step(steps[-1])
        if all(each.p99 > plan.deadline for each in steps[-2:]) and len(steps) > 1:
            break
    return steps


def held(steps: Sequence[Step], deadline: float) -> Step | None:
    """Find the last step before p99 misses the deadline for the first time."""
    fitting = list(itertools.takewhile(lambda each: each.p99 <= deadline, steps))
    return fitting[-1] if fitting else None
