"""WebSockets: one connection is one stream, in one direction. Over it a stream is asked for,
granted, controlled and ended; a carrier moves its sound and packets."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from websockets.asyncio.server import ServerConnection, broadcast
from websockets.exceptions import ConnectionClosed

from audiodec.errors import AudioDecError
from audiodec.serve.carrier import Carrier, Messages
from audiodec.serve.company import Company
from audiodec.serve.datagrams import Datagrams
from audiodec.serve.engine import Engine, FullError
from audiodec.serve.greeting import greet
from audiodec.serve.limits import Budget, Limits
from audiodec.serve.messages import Close, Control, Hello, RequestError, parse
from audiodec.serve.metrics import Metrics
from audiodec.serve.parting import part
from audiodec.serve.pcm import FORMATS
from audiodec.serve.rtp_carrier import MAX_WAITING_S, RtpDecoder, RtpEncoder
from audiodec.serve.streams import DecoderStream, EncoderStream

SEND_BUFFER_BYTES = 65536  # bytes of a connection that wait in the system


class WebSockets:
    """Serves connections; whatever one sends, only that one ends.

    Args:
        engines: by sample rate; the first is the default.
        datagrams: carry the streams that ask for RTP.
        tokens: that give access; none: everyone has it.
        company: has places for streams.
    """

    def __init__(
        self,
        engines: dict[int, Engine],
        datagrams: Datagrams,
        limits: Limits,
        tokens: Sequence[str],
        metrics: Metrics,
        company: Company,
    ) -> None:
        self._engines, self._datagrams, self._limits = engines, datagrams, limits
        self._tokens, self._metrics, self._company = tokens, metrics, company
        self._connections: dict[ServerConnection, asyncio.Task[None]] = {}
        self.draining = False

    @property
    def connections(self) -> int:
        """Open now, with or without a stream."""
        return len(self._connections)

    async def drain(self) -> None:
        """Open no more streams; returns when the open ones have ended, cut off after the limit."""
        self.draining = True
        broadcast(self._connections, json.dumps({"draining": self._limits.drain}))
        if self._connections:
            await asyncio.wait(self._connections.values(), timeout=self._limits.drain)
        await asyncio.gather(*(part(open_, Close.LEAVING, "") for open_ in self._connections))

    async def serve(self, connection: ServerConnection) -> None:
        """Serve a connection, from hello to close."""
        task = asyncio.current_task()
        assert task is not None
        self._connections[connection] = task
        # The system would keep megabytes for a slow reader: half a minute of stale sound.
        sock = connection.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        try:
            await self._serve(connection)
            await part(connection, Close.END, "")
        except RequestError as error:
            await part(connection, error.close, str(error))
        except ConnectionClosed:
            pass
        finally:
            del self._connections[connection]

    async def _serve(self, connection: ServerConnection) -> None:
        """Serve one stream. Raises RequestError and ConnectionClosed."""
        try:
            hello = await greet(connection, Hello, self._limits, self._tokens)
            engine = self._engine(hello)
            stream = await self._open(hello, engine)
        except RequestError as error:
            self._metrics.refused.labels(error.close.name.lower()).inc()
            raise
        reason = "gone"
        self._metrics.opened.labels(hello.mode).inc()
        self._metrics.open.labels(hello.mode).inc()
        try:
            with self._carrier(connection, hello, engine, stream) as carrier:
                agreed = _agreed(hello, engine, stream) | carrier.agreed()
                await connection.send(json.dumps(agreed))
                await self._code(connection, carrier, stream)
            reason = "end"
        except RequestError as error:
            reason = error.close.name.lower()
            raise
        finally:
            engine.close(stream)
            self._company.give()
            self._metrics.open.labels(hello.mode).dec()
            self._metrics.closed.labels(reason).inc()

    def _engine(self, hello: Hello) -> Engine:
        """Find the model that a client asks for."""
        rate = next(iter(self._engines)) if hello.rate is None else hello.rate
        if rate not in self._engines:
            offered = ", ".join(map(str, self._engines))
            raise RequestError(f"no model of {rate} Hz here; choose {offered}", Close.INVALID)
        if hello.transport == "rtp" and self._engines[rate].info.codec.channels != 1:
            raise RequestError("this model has several channels, RTP one", Close.INVALID)
        return self._engines[rate]

    async def _open(self, hello: Hello, engine: Engine) -> EncoderStream | DecoderStream:
        if self.draining:
            raise RequestError("the server is about to stop", Close.FULL)
        if not await self._company.take():
            raise RequestError("all streams are taken; try again later", Close.FULL)
        try:
            return self._open_in(engine, hello)
        except RequestError:
            self._company.give()
            raise

    def _open_in(self, engine: Engine, hello: Hello) -> EncoderStream | DecoderStream:
        try:
            if hello.mode == "decode":
                return engine.open_decoder(hello.frames)
            most = self._limits.message // FORMATS[hello.format].itemsize
            if hello.transport == "rtp":
                most = round(MAX_WAITING_S * engine.info.codec.sample_rate)
            return engine.open_encoder(hello.bitrate, hello.frames, most)
        except FullError as error:
            raise RequestError(str(error), Close.FULL) from None
        except AudioDecError as error:
            raise RequestError(str(error), Close.INVALID) from None

    @contextmanager
    def _carrier(
        self,
        connection: ServerConnection,
        hello: Hello,
        engine: Engine,
        stream: EncoderStream | DecoderStream,
    ) -> Iterator[Carrier]:
        if hello.transport == "websocket":
            yield Messages(connection, hello, stream, self._limits.idle, self._metrics)
            return
        leg = self._datagrams.open()
        try:
            if isinstance(stream, EncoderStream):
                yield RtpEncoder(leg, stream)
            else:
                yield RtpDecoder(leg, stream)
        finally:
            self._datagrams.forget(leg)

    async def _code(
        self, connection: ServerConnection, carrier: Carrier, stream: EncoderStream | DecoderStream
    ) -> None:
        """Until the client has said the end and has all its output."""
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._read(connection, carrier, stream))
                both.create_task(self._write(connection, carrier, stream))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None  # the first; the other task was cancelled

    async def _read(
        self, connection: ServerConnection, carrier: Carrier, stream: EncoderStream | DecoderStream
    ) -> None:
        """Messages into the stream; as long as it has no room, the socket is not read."""
        budget, received = Budget(self._limits.rate), self._metrics.bytes.labels("in")
        while True:
            message = await self._next(connection, carrier)
            received.inc(len(message))
            await budget.spend(len(message))
            try:
                if isinstance(message, bytes):
                    await carrier.take(message)
                    continue
                control = parse(Control, message)
                if control.bitrate is not None:
                    if isinstance(stream, DecoderStream):
                        raise RequestError("a decoder has no bitrate", Close.INVALID)
                    stream.bitrate = control.bitrate
                if control.end:
                    carrier.end()
                    return
            except RequestError:
                raise
            except AudioDecError as error:
                raise RequestError(str(error), Close.INVALID) from None

    async def _next(self, connection: ServerConnection, carrier: Carrier) -> str | bytes:
        """Give the next message; it may be long in coming while the carrier hears the client."""
        now = asyncio.get_running_loop().time
        since = now()
        while (left := max(since, carrier.heard) + self._limits.idle - now()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    return await connection.recv()
        raise RequestError("nothing was sent for too long", Close.IDLE)

    async def _write(
        self, connection: ServerConnection, carrier: Carrier, stream: EncoderStream | DecoderStream
    ) -> None:
        try:
            await carrier.run()
            ended = {"end": True, "packets": stream.packets} | carrier.account()
            async with asyncio.timeout(self._limits.idle):
                await connection.send(json.dumps(ended))
        except TimeoutError:
            raise RequestError("nothing was read for too long", Close.IDLE) from None


def _agreed(hello: Hello, engine: Engine, stream: EncoderStream | DecoderStream) -> dict[str, Any]:
    """Write the server's answer to a hello."""
    config = engine.info.codec
    agreed = {
        "model": engine.info.id,
        "mode": hello.mode,
        "rate": config.sample_rate,
        "channels": config.channels,
        "hop": config.hop,
        "frames": hello.frames,
    }
    if isinstance(stream, EncoderStream):
        agreed["bitrate"] = stream.bitrate
    return agreed
