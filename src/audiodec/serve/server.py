"""The process: sockets, health, metrics, and an end in which nothing is cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as listen

from audiodec.errors import ConfigError
from audiodec.runtime.base import Runtime
from audiodec.serve.datagrams import Datagrams
from audiodec.serve.engine import Engine
from audiodec.serve.limits import Limits
from audiodec.serve.metrics import Metrics
from audiodec.serve.pages import ROOMS, STREAMS, Front, OneRequest, pages
from audiodec.serve.parting import FAREWELL_S
from audiodec.serve.rooms import Rooms
from audiodec.serve.site import Site
from audiodec.serve.websocket import WebSockets

MAX_QUEUED_MESSAGES = 4  # messages of a connection that wait to be taken from its socket


async def serve(
    runtimes: Sequence[Runtime],
    host: str,
    port: int,
    limits: Limits,
    tokens: Sequence[str],
    stop: asyncio.Event,
    started: Callable[[str], None] = lambda url: None,
    ice: Sequence[dict[str, Any]] | None = None,
    folders: Mapping[str, Path] | None = None,
) -> None:
    """Serve until told to stop, then drain.

    Args:
        runtimes: models of different sample rates; the first is the default.
        port: of WebSockets and of datagrams; 0 takes a free one of each.
        tokens: that give access; without any, only this machine may connect.
        started: told the address of the streams once it can be opened.
        ice: STUN and TURN servers for the ends of calls, which find each other in rooms here; None:
            no rooms.
        folders: of files for browsers, by the beginning of their addresses; None: no files.

    Raises:
        ConfigError: the address cannot be used or would be open to everyone, or two models have
            the same rate.
    """
    if not tokens and not is_loopback(host):
        raise ConfigError(f"{host} is open to other machines: give access tokens (--tokens)")
    rates = [runtime.info.codec.sample_rate for runtime in runtimes]
    if len(set(rates)) < len(rates):
        raise ConfigError("two models of one sample rate: clients could not choose between them")
    metrics = Metrics()
    with ThreadPoolExecutor(1, "model") as thread:
        engines = {
            rate: Engine(runtime, limits.streams, thread, metrics.on_call)
            for rate, runtime in zip(rates, runtimes, strict=True)
        }
        datagrams = Datagrams(limits, metrics)
        front = WebSockets(engines, datagrams, limits, tokens, metrics)
        rooms = None if ice is None else Rooms(limits, tokens, ice, metrics)
        fronts: dict[str, Front] = {STREAMS: front} | ({ROOMS: rooms} if rooms else {})
        site = Site(folders, limits) if folders else None
        # Without tokens no web page may connect but ours: a browser would let any of them.
        origins: list[Any] | None = None if tokens else [None]

        class Connection(OneRequest):
            patience = limits.hello

        async def serve_connection(connection: ServerConnection) -> None:
            assert connection.request is not None
            await fronts[urlsplit(connection.request.path).path].serve(connection)

        try:
            server = await listen(
                serve_connection,
                host,
                port,
                process_request=pages(fronts, site, lambda: front.draining, limits, metrics),
                create_connection=Connection,
                origins=origins,
                compression=None,  # sound does not compress, and bombs would
                max_size=limits.message,
                max_queue=MAX_QUEUED_MESSAGES,
                open_timeout=None,  # `patience` bounds requests; a file may take longer
                close_timeout=FAREWELL_S,
                ping_interval=None,  # `idle` finds the dead; pongs wait behind back-pressure
            )
        except (OSError, ValueError) as error:  # ValueError: no name of a host
            reason = error.strerror if isinstance(error, OSError) else "that is no name"
            raise ConfigError(f"cannot serve at {host}, port {port}: {reason}") from None
        async with server, datagrams:
            datagrams.bind(((s.family, s.getsockname()[0]) for s in server.sockets), port)
            address, number = server.sockets[0].getsockname()[:2]
            written = f"[{address}]" if ":" in address else address
            if origins is not None and site is not None:
                origins += [f"http://{own}:{number}" for own in (written, "localhost")]
            async with asyncio.TaskGroup() as group:  # an engine's failure ends the server
                running = [group.create_task(engine.run()) for engine in engines.values()]
                started(f"ws://{written}:{number}{STREAMS}")
                await stop.wait()
                if rooms is not None:
                    group.create_task(rooms.drain())
                await front.drain()
                server.close()
                await server.wait_closed()
                for task in running:
                    task.cancel()


def is_loopback(host: str) -> bool:
    """Tell whether an address can be reached from this machine only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
