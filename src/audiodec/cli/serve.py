"""`audiodec serve`: many streams through one model, for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import audiodec
from audiodec.cli.common import console
from audiodec.ending import OrderlyEnd
from audiodec.errors import ConfigError, MissingExtraError


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
    streams: Annotated[int, typer.Option(min=1, max=4096, help="Open at once.")] = 32,
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
    import asyncio

    from audiodec.pretrained import BUNDLED, ModelFolders, find_model
    from audiodec.runtime.onnx import OnnxRuntime

    try:
        from audiodec.serve.limits import Limits
        from audiodec.serve.messages import read_tokens
        from audiodec.serve.rooms import read_ice
        from audiodec.serve.server import serve as run
    except ImportError:
        raise MissingExtraError("serving", "live") from None

    async def until_signal() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        with OrderlyEnd(lambda: loop.call_soon_threadsafe(stop.set)):
            await run(runtimes, host, port, limits, access, stop, started, servers, handed_out)

    def started(url: str) -> None:
        console.print(f"serving {', '.join(r.info.id for r in runtimes)} at", style="dim", end=" ")
        typer.echo(url)
        if handed_out:
            page = url.replace("ws:", "http:").removesuffix("stream")
            console.print(f"pages at {page}", style="dim")

    if ice is not None and not rooms:
        raise ConfigError("--ice tells calls of servers: it goes with --rooms")
    servers = (read_ice(ice) if ice else []) if rooms else None
    handed_out = {"/": _pages(), "/models/": BUNDLED} if site or rooms else None
    access = read_tokens(tokens)
    limits = Limits(streams, message, rate, idle, drain=drain)
    folders = [find_model(name) for name in model] if model else [find_model(None)]
    runtimes = [OnnxRuntime(ModelFolders.one(folder), threads) for folder in folders]
    asyncio.run(until_signal())


def _pages() -> Path:
    """Find the folder of the pages. Raises ConfigError: this installation has none."""
    folder = Path(audiodec.__file__).parent / "pages"
    if not (folder / "index.html").is_file():
        raise ConfigError("no pages for browsers here: in a checkout, make them with `make site`")
    return folder
