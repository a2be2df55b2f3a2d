"""One model that codes for all streams: every tick, one call for all that have a frame ready.

The event loop owns the streams; a thread runs the model and never touches them, so there is no
lock. A tick lasts a frame. When the model falls behind, packets gather and a call takes several
of each stream, which costs less per packet.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any, TypeVar

import numpy as np

from audiodec.arrays import Samples
from audiodec.bitstream.packet import Arrived, PacketFormat
from audiodec.errors import AudioDecError
from audiodec.playback import Rows
from audiodec.runtime.base import Runtime
from audiodec.serve.batch import DecoderBatch, EncoderBatch
from audiodec.serve.streams import DecoderStream, EncoderStream, Stream

Kind = TypeVar("Kind", bound=Stream)


class FullError(AudioDecError):
    """All places are taken."""


class Engine:
    """Streams of one model.

    Args:
        capacity: streams open at once.
        thread: runs the model; may be shared by engines.
        on_call: told after each call of the model: "encode" or "decode", streams in it, packets
            of each, seconds it took, seconds of sound in it.
    """

    def __init__(
        self,
        runtime: Runtime,
        capacity: int,
        thread: Executor,
        on_call: Callable[[str, int, int, float, float], None],
    ) -> None:
        self.info = runtime.info
        self._thread, self._on_call = thread, on_call
        self._encoder = EncoderBatch(runtime, capacity)
        self._decoder = DecoderBatch(runtime, capacity)
        self._free = list(reversed(range(capacity)))
        self._fresh: list[Stream] = []
        self._streams: dict[int, Stream] = {}  # by row
        self._work = asyncio.Event()

    def __len__(self) -> int:
        return len(self._streams)

    def open_encoder(self, bitrate: float | None, frames: int, most: int) -> EncoderStream:
        """Open a new stream; give it back with `close`.

        Args:
            bitrate: kbps, the model's highest by default.
            frames: in every packet.
            most: samples per channel of one write.

        Raises:
            FullError: no place is free.
            ConfigError: a bitrate that is not offered.
        """
        config = self.info.codec
        config.codebooks_for(bitrate)
        return self._open(EncoderStream(config, self._row(), frames, self._work.set, bitrate, most))

    def open_decoder(self, frames: int) -> DecoderStream:
        """Open a new stream; give it back with `close`. Raises FullError."""
        return self._open(DecoderStream(self.info.codec, self._row(), frames, self._work.set))

    def _row(self) -> int:
        if not self._free:
            raise FullError("all streams are taken; try again later")
        return self._free.pop()

    def _open(self, stream: Kind) -> Kind:
        self._streams[stream.row] = stream
        self._fresh.append(stream)
        return stream

    def close(self, stream: Stream) -> None:
        """Forget a stream and what it still waits for. Its row may be given away at once: it is
        reset before the next call, after the one that may be running."""
        del self._streams[stream.row]
        self._free.append(stream.row)

    async def run(self) -> None:
        """Code what waits, again and again, until cancelled."""
        loop = asyncio.get_running_loop()
        period = self.info.codec.hop / self.info.codec.sample_rate
        while True:
            self._work.clear()
            groups = self._ready()
            for group in groups:
                await self._call(group)
            if not groups:
                await self._work.wait()
                await asyncio.sleep(period - loop.time() % period)  # to the next tick

    def _ready(self) -> list[list[Any]]:
        """Streams with work, of one direction and packet size each."""
        groups: dict[tuple[type[Stream], PacketFormat], list[Any]] = {}
        for _, stream in sorted(self._streams.items()):
            if stream.ready > 0:
                groups.setdefault((type(stream), stream.format), []).append(stream)
        return list(groups.values())

    async def _call(self, group: list[Any]) -> None:
        group = [stream for stream in group if self._streams.get(stream.row) is stream]
        if not group:
            return  # closed while another call ran
        packets, format = min(stream.ready for stream in group), group[0].format
        rows = np.array([stream.row for stream in group], np.intp)
        inputs = [stream.take(packets) for stream in group]
        work: Callable[[], Sequence[Any]]
        if isinstance(group[0], EncoderStream):
            num_codebooks = np.array([stream.codebooks for stream in group])
            work = partial(self._encoder.encode, rows, np.stack(inputs), num_codebooks, format)
        else:
            work = partial(self._decode, rows, inputs, format)
        fresh = np.array([stream.row for stream in self._fresh], np.intp)
        self._fresh.clear()
        started = time.perf_counter()
        loop = asyncio.get_running_loop()
        outputs = await loop.run_in_executor(self._thread, self._begin_and_do, fresh, work)
        seconds, sound = time.perf_counter() - started, packets * format.seconds
        mode = "encode" if isinstance(group[0], EncoderStream) else "decode"
        self._on_call(mode, len(group), packets, seconds, sound)
        for stream, output in zip(group, outputs, strict=True):
            stream.deliver(list(output))

    # In the model's thread:

    def _begin_and_do(self, fresh: Rows, work: Callable[[], Sequence[Any]]) -> Sequence[Any]:
        if len(fresh):
            self._encoder.reset(fresh)
            self._decoder.reset(fresh)
        return work()

    def _decode(
        self, rows: Rows, packets: list[list[Arrived]], format: PacketFormat
    ) -> list[list[Samples]]:
        audio = self._decoder.decode(rows, packets, format)
        return [np.split(own, len(packets[0]), axis=1) for own in audio]
