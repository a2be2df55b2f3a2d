"""The process: sockets, health, metrics, and an end in which nothing is cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.server import Server, ServerConnection
from websockets.asyncio.server import serve as listen

from audiodec.errors import ConfigError
from audiodec.serve.address import ROOMS, STREAMS, Address, check_access, listening_at
from audiodec.serve.company import Alone, Company
from audiodec.serve.datagrams import Datagrams
from audiodec.serve.engine import Engine
from audiodec.serve.metrics import Metrics
from audiodec.serve.offer import Offer
from audiodec.serve.pages import Front, OneRequest, pages
from audiodec.serve.parting import FAREWELL_S
from audiodec.serve.rooms import Rooms
from audiodec.serve.site import Site
from audiodec.serve.websocket import WebSockets

MAX_QUEUED_MESSAGES = 4  # messages of a connection that wait to be taken from its socket


class Service:
    """What serves connections, wherever they come from.

    Args:
        company: this process serves in; None: it is alone.
    Raises:
        ConfigError: two models have the same rate.
    """

    def __init__(self, offer: Offer, metrics: Metrics, company: Company | None = None) -> None:
        rates = [runtime.info.codec.sample_rate for runtime in offer.runtimes]
        if len(set(rates)) < len(rates):
            raise ConfigError(
                "two models of one sample rate: clients could not choose between them"
            )
        limits = offer.limits
        company = company or Alone(limits, metrics)
        self._offer, self._thread = offer, ThreadPoolExecutor(1, "model")
        self._engines = {
            rate: Engine(runtime, limits.streams, self._thread, metrics.on_call)
            for rate, runtime in zip(rates, offer.runtimes, strict=True)
        }
        self._datagrams = Datagrams(limits, metrics)
        self._streams = WebSockets(
            self._engines, self._datagrams, limits, offer.tokens, metrics, company
        )
        self._rooms = None if offer.ice is None else Rooms(limits, offer.tokens, offer.ice, metrics)
        self._fronts: dict[str, Front] = {STREAMS: self._streams}
        if self._rooms is not None:
            self._fronts[ROOMS] = self._rooms
        self._site = Site(offer.folders, limits) if offer.folders else None
        # Without tokens no web page may connect but ours: a browser would let any of them.
        self._origins: list[Any] | None = None if offer.tokens else [None]
        self._respond = pages(
            self._fronts, self._site, lambda: self._streams.draining, limits, metrics, company
        )

    async def listen(self, **where: Any) -> Server:
        """Listen for connections, which `run` then serves.

        Args:
            where: as event loops take it: `host` and `port`, or `sock`.
        """
        limits = self._offer.limits

        class Connection(OneRequest):
            patience = limits.hello

        if self._offer.tls is not None:
            where |= {"ssl": self._offer.tls, "ssl_handshake_timeout": limits.hello}
        return await listen(
            self._serve,
            process_request=self._respond,
            create_connection=Connection,
            origins=self._origins,
            compression=None,  # sound does not compress, and bombs would
            max_size=limits.message,
            max_queue=MAX_QUEUED_MESSAGES,
            open_timeout=None,  # `patience` bounds requests; a file may take longer
            close_timeout=FAREWELL_S,
            ping_interval=None,  # `idle` finds the dead; pongs wait behind back-pressure
            **where,
        )

    async def run(
        self, server: Server, address: Address, udp_port: int,
        stop: asyncio.Event, started: Callable[[], object],
    ) -> None:  # fmt: skip
        """Serve what comes to a listening server until told to stop, then drain.

        Args:
            udp_port: of datagrams; 0 takes a free one.
            started: called once all is there.

        Raises:
            ConfigError: the port of datagrams is not to be had.
        """
        with self._thread:
            async with server, self._datagrams:
                self._datagrams.bind(address.hosts, udp_port)
                if self._origins is not None and self._site is not None:
                    self._origins += address.origins(self._offer.tls is not None)
                async with asyncio.TaskGroup() as group:  # an engine's failure ends the server
                    engines = self._engines.values()
                    running = [group.create_task(engine.run()) for engine in engines]
                    started()
                    await stop.wait()
                    if self._rooms is not None:
                        group.create_task(self._rooms.drain())
                    await self._streams.drain()
                    server.close()
                    await server.wait_closed()
                    for task in running:
                        task.cancel()

    async def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        await self._fronts[urlsplit(connection.request.path).path].serve(connection)


async def serve(
    offer: Offer,
    host: str,
    port: int,
    stop: asyncio.Event,
    started: Callable[[str], object] = lambda url: None,
) -> None:
    """Serve in this process until told to stop, then drain.

    Args:
        port: of WebSockets and of datagrams; 0 takes a free one of each.
        started: told the address of the streams once it can be opened.

    Raises:
        ConfigError: the address cannot be used or would be open to everyone, or two models have
            the same rate.
    """
    check_access(host, offer.tokens)
    service = Service(offer, Metrics())
    with listening_at(host, port):
        server = await service.listen(host=host, port=port)
    address = Address.of(server.sockets)
    url = address.url(offer.tls is not None)
    await service.run(server, address, port, stop, lambda: started(url))
