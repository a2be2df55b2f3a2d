"""What processes that serve one address decide together: how much is taken, and how they are."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from audiodec.serve.limits import Limits
from audiodec.serve.metrics import Metrics


class Readiness(StrEnum):
    """Whether new streams should be sent here."""

    READY = "ready"
    FULL = "full"
    DRAINING = "draining"


class Company(Protocol):
    """The processes that serve one address, as one of them sees them."""

    async def take(self) -> bool:
        """Take the place of a stream, unless all are taken; `give` it back."""
        ...

    def give(self) -> None:
        """Give the place of a stream back."""
        ...

    async def connections(self, own: int) -> int:
        """Count the connections of all, given those of this process."""
        ...

    async def readiness(self) -> Readiness:
        """Tell whether new streams should be sent here."""
        ...

    async def silent(self) -> list[str]:
        """Name the processes that have not answered for long."""
        ...

    async def figures(self) -> str:
        """Write what all have counted, in Prometheus' text format."""
        ...


class Alone:
    """One process that serves by itself."""

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self._limits, self._metrics, self._streams = limits, metrics, 0

    async def take(self) -> bool:
        if self._streams >= self._limits.streams:
            return False
        self._streams += 1
        return True

    def give(self) -> None:
        self._streams -= 1

    async def connections(self, own: int) -> int:
        return own

    async def readiness(self) -> Readiness:
        return Readiness.FULL if self._streams >= self._limits.streams else Readiness.READY

    async def silent(self) -> list[str]:
        return []

    async def figures(self) -> str:
        return self._metrics.text().decode()
