"""`audiodec serve`: many streams through one model, for other programs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import audiodec
from audiodec.cli.common import console, warn
from audiodec.ending import OrderlyEnd
from audiodec.errors import AudioDecError, ConfigError, MissingExtraError
from audiodec.pretrained import BUNDLED

if TYPE_CHECKING:
    from audiodec.serve.offer import Order

MAX_WORKERS = 256


def serve(
    host: Annotated[
        str, typer.Option(help="Address; other than this machine's own only with tokens.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="TCP and UDP; 0 takes a free one of each.")
    ] = 8765,
    model: Annotated[
        list[str] | None,
        typer.Option(help="Bundled model or model folder; more of other rates may be given."),
    ] = None,
    tokens: Annotated[
        Path | None,
        typer.Option(help="File of access tokens, one a line; also taken: $AUDIODEC_TOKENS."),
    ] = None,
    workers: Annotated[
        str, typer.Option(help="Processes, each with a model of its own; auto: one per core.")
    ] = "1",
    certificate: Annotated[
        Path | None, typer.Option(help="PEM file of a certificate chain, for TLS.")
    ] = None,
    private_key: Annotated[
        Path | None, typer.Option(help="PEM file of its private key, without a passphrase.")
    ] = None,
    streams: Annotated[
        int | None, typer.Option(min=1, max=4096, help="Open at once; 32 per worker by default.")
    ] = None,
    message: Annotated[
        int, typer.Option(min=4096, max=1 << 24, help="Bytes of one message.")
    ] = 65536,
    rate: Annotated[
        int, typer.Option(min=1000, help="Bytes per second read from one connection.")
    ] = 1_000_000,
    idle: Annotated[
        float, typer.Option(min=1, help="Seconds a silent or unread stream stays open.")
    ] = 30,
    drain: Annotated[
        float, typer.Option(min=0, help="Seconds open streams have after SIGTERM.")
    ] = 30,
    rooms: Annotated[
        bool, typer.Option("--rooms", help="Let the ends of calls find each other, with --site.")
    ] = False,
    ice: Annotated[
        Path | None, typer.Option(help="JSON file of STUN and TURN servers for calls.")
    ] = None,
    site: Annotated[bool, typer.Option("--site", help="Hand out the pages for browsers.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of the model.")] = 1,
) -> None:
    """Serve streams over WebSockets and RTP; see docs/serve.md."""
    try:
        from audiodec.serve.limits import STREAMS_PER_WORKER, Limits
        from audiodec.serve.offer import Order
        from audiodec.serve.tls import Certificate
    except ImportError:
        raise MissingExtraError("serving", "live") from None

    count = _workers(workers, threads)
    if ice is not None and not rooms:
        raise ConfigError("--ice tells calls of servers: it goes with --rooms")
    if rooms and count > 1:
        raise ConfigError(
            "--rooms needs one process, where both ends of a call meet: leave out --workers"
        )
    if (certificate is None) != (private_key is None):
        raise ConfigError("TLS takes both --certificate and --private-key")
    pair = Certificate(certificate, private_key) if certificate and private_key else None
    handed_out = {"/": _pages(), "/models/": BUNDLED} if site or rooms else None
    limits = Limits(streams or STREAMS_PER_WORKER * count, message, rate, idle, drain=drain)
    order = Order(limits, model or [], tokens, rooms, ice, handed_out, pair, threads)
    asyncio.run((_in_one if count == 1 else _in_several)(order, count, host, port))


async def _in_one(order: Order, _: int, host: str, port: int) -> None:
    from audiodec.serve.server import serve as run

    def renew() -> None:
        try:
            order.renew(offer)
        except AudioDecError as error:
            warn([f"nothing is renewed, all goes on as before: {error}"])
        else:
            console.print("tokens and certificate are read anew", style="dim")

    stop = asyncio.Event()
    offer = order.load()
    with OrderlyEnd(_soon(stop.set), hangup=_soon(renew)):
        models = ", ".join(runtime.info.id for runtime in offer.runtimes)
        await run(offer, host, port, stop, partial(_started, f"serving {models} at", order))


async def _in_several(order: Order, count: int, host: str, port: int) -> None:
    from audiodec.serve.supervisor import Supervisor

    stop, renew = asyncio.Event(), asyncio.Event()
    supervisor = Supervisor(order, count, partial(console.print, style="dim", soft_wrap=True))
    with OrderlyEnd(_soon(stop.set), hangup=_soon(renew.set)):
        said = f"serving in {count} processes at"
        await supervisor.serve(host, port, stop, renew, partial(_started, said, order))


def _soon(act: Callable[[], object]) -> Callable[[], object]:
    """Make a signal act in the event loop."""
    return partial(asyncio.get_running_loop().call_soon_threadsafe, act)


def _started(said: str, order: Order, url: str) -> None:
    console.print(said, style="dim", end=" " if console.is_terminal else "\n")
    typer.echo(url)
    if order.folders:
        page = url.replace("ws", "http", 1).removesuffix("stream")
        console.print(f"pages at {page}", style="dim")


def _workers(text: str, threads: int) -> int:
    """Read how many processes are asked for. Raises ConfigError."""
    from audiodec.serve.cores import cores

    if text == "auto":
        return max(1, cores() // threads)
    if not text.isdecimal() or not 1 <= int(text) <= MAX_WORKERS:
        raise ConfigError(f"--workers {text}: give a number from 1 to {MAX_WORKERS}, or auto")
    return int(text)


def _pages() -> Path:
    """Find the folder of the pages. Raises ConfigError: this installation has none."""
    folder = Path(audiodec.__file__).parent / "pages"
    if not (folder / "index.html").is_file():
        raise ConfigError("no pages for browsers here: in a checkout, make them with `make site`")
    return folder
