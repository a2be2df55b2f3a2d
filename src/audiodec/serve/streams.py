"""One stream of a server: a bounded inbox, a bounded outbox, a row in a batch.

All methods belong to the event loop; the model's thread only sees what `take` copied out.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from audiodec.arrays import Samples
from audiodec.bitstream.packet import Arrived
from audiodec.config import CodecConfig

MAX_UNREAD_S = 1.0  # seconds of output kept for a slow reader; then the stream stands still
MAX_PACKETS_AT_ONCE = 4  # packets of one stream in one call of the model


class Stream(ABC):
    """Input in, output out, in order. Nothing is dropped: who does not read is not served.

    Args:
        row: of the batch.
        frames: in every packet.
        wake: called when there is new work.
    """

    def __init__(
        self, config: CodecConfig, row: int, frames: int, wake: Callable[[], None]
    ) -> None:
        self.row, self.format = row, config.packet_format(frames)
        self.packets = 0  # coded so far
        self._owed = 0  # packets that the model has taken and not delivered
        self._config, self._wake = config, wake
        self._size = self.format.samples  # per channel
        self._outbox: deque[Any] = deque()
        self._outbox_size = max(
            MAX_PACKETS_AT_ONCE, round(MAX_UNREAD_S * config.sample_rate / self._size)
        )
        self._moved = asyncio.Event()  # something has left the inbox or the outbox
        self._news = asyncio.Event()  # something is in the outbox, or nothing more will be
        self._ended = False

    @property
    @abstractmethod
    def complete(self) -> int:
        """Packets in the inbox."""

    @abstractmethod
    def _take(self, packets: int) -> Any:
        """Remove the oldest of the inbox, and give it."""

    @property
    def ready(self) -> int:
        """Packets that could be coded now and find room in the outbox."""
        room = self._outbox_size - len(self._outbox)
        return min(self.complete, room, MAX_PACKETS_AT_ONCE)

    def end(self) -> None:
        """Note that nothing more will be written."""
        self._ended = True
        self._news.set()
        self._wake()

    def take(self, packets: int) -> Any:
        """Take the oldest of the inbox for the model, which then owes as many to `deliver`."""
        self._owed += packets
        self._moved.set()
        return self._take(packets)

    def deliver(self, output: list[Any]) -> None:
        """Take the model's output for `len(output)` packets that were taken."""
        self._outbox += output
        self._owed -= len(output)
        self.packets += len(output)
        self._news.set()

    async def read(self) -> list[Any] | None:
        """Read all output that waits, at least one packet's; None after the last."""
        while not self._outbox:
            if self._ended and not self.complete and not self._owed:
                return None
            self._news.clear()
            await self._news.wait()
        output = list(self._outbox)
        self._outbox.clear()
        self._moved.set()
        self._wake()  # there is room again
        return output

    async def _wait_for(self, room: Callable[[], bool]) -> None:
        while not room():
            self._moved.clear()
            await self._moved.wait()


class EncoderStream(Stream):
    """Samples in, packets out.

    Args:
        most: samples per channel of one `write`.
    """

    def __init__(
        self,
        config: CodecConfig,
        row: int,
        frames: int,
        wake: Callable[[], None],
        bitrate: float | None,
        most: int,
    ) -> None:
        super().__init__(config, row, frames, wake)
        self.codebooks = config.codebooks_for(bitrate)
        self._most = most + self._size  # samples written; the end fills up to a packet more
        self._inbox = np.empty((config.channels, self._most + self._size), np.float32)
        self._filled = 0

    @property
    def channels(self) -> int:
        """Channels that are coded together."""
        return self._config.channels

    @property
    def bitrate(self) -> float:
        """Payload bitrate in kbps, which may change at any time."""
        return self._config.bitrate(self.codebooks)

    @bitrate.setter
    def bitrate(self, kbps: float) -> None:
        self.codebooks = self._config.codebooks_for(kbps)

    @property
    def complete(self) -> int:
        """Packets' worth of samples that wait in the inbox."""
        return self._filled // self._size

    async def write(self, samples: Samples) -> None:
        """Add finite samples [channels, n]; returns once they fit the inbox."""
        await self._wait_for(lambda: self.offer(samples))

    def offer(self, samples: Samples) -> bool:
        """Add finite samples [channels, n] if they fit the inbox now."""
        count = samples.shape[1]
        if self._filled + count > self._most:
            return False
        self._inbox[:, self._filled : self._filled + count] = samples
        self._filled += count
        self._wake()
        return True

    def end(self) -> None:
        """Fill the last packet up with zeros."""
        missing = -self._filled % self._size
        self._inbox[:, self._filled : self._filled + missing] = 0
        self._filled += missing
        super().end()

    def _take(self, packets: int) -> Samples:
        """[channels, packets * frames * hop]."""
        count = packets * self._size
        taken = self._inbox[:, :count].copy()
        self._inbox[:, : self._filled - count] = self._inbox[:, count : self._filled].copy()
        self._filled -= count
        return taken


class DecoderStream(Stream):
    """Packets in, samples [channels, frames * hop] out."""

    def __init__(
        self, config: CodecConfig, row: int, frames: int, wake: Callable[[], None]
    ) -> None:
        super().__init__(config, row, frames, wake)
        self._inbox: deque[Arrived] = deque()
        self._started = False

    @property
    def complete(self) -> int:
        return len(self._inbox)

    async def write(self, arrived: Arrived) -> None:
        """Add what has come of a packet; returns once it fits the inbox.

        Raises:
            FormatError: the bytes are no packet of this stream.
        """
        for packet in filter(None, (arrived.packet, *arrived.ahead)):
            self.format.codebooks_of(packet)
        if arrived.packet is not None:
            self._started = True
        elif not self._started:  # no work: silence
            await self._wait_for(lambda: len(self._outbox) < self._outbox_size)
            self._owed += 1
            self.deliver([np.zeros((self._config.channels, self._size), np.float32)])
            return
        await self._wait_for(lambda: len(self._inbox) < self._outbox_size)
        self._inbox.append(arrived)
        self._wake()

    def _take(self, packets: int) -> list[Arrived]:
        return [self._inbox.popleft() for _ in range(packets)]
