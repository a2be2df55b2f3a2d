"""`audiodec bench load`: clients that speak in real time to a server on this machine."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from audiodec.cli.common import Json, Model, console
from audiodec.cli.tables import print_table
from audiodec.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from audiodec.evaluation.load.client import Kind
    from audiodec.evaluation.load.ramp import Step
    from audiodec.evaluation.load.soak import Soak

KINDS: dict[str, tuple[Kind, ...]] = {
    "websocket": ("encode", "decode"),
    "rtp": ("rtp",),
    "both": ("encode", "decode", "rtp"),
}
VOICES = 8
VOICE_S = 20.0  # seconds


def load(
    url: Annotated[
        str | None, typer.Option(help="Server on this machine; starts one if not given.")
    ] = None,
    workers: Annotated[str, typer.Option(help="Of the server that is started.")] = "1",
    transport: Annotated[
        Literal["websocket", "rtp", "both"], typer.Option(help="How clients speak.")
    ] = "websocket",
    frames: Annotated[int, typer.Option(min=1, max=3, help="In a packet.")] = 3,
    deadline: Annotated[
        float | None, typer.Option(min=1, help="ms for a packet; its own length if not given.")
    ] = None,
    step: Annotated[int, typer.Option(min=1, help="Streams more at each step.")] = 4,
    most: Annotated[int, typer.Option(min=1, max=512, help="Streams at once.")] = 128,
    seconds: Annotated[float, typer.Option(min=1, max=15, help="Of each step.")] = 5,
    minutes: Annotated[
        float, typer.Option(min=0, max=240, help="Clients then come, go, stall and misbehave.")
    ] = 0,
    at: Annotated[
        float, typer.Option(min=0.01, max=1, help="Share of the streams that fit, for that.")
    ] = 0.8,
    plot: Annotated[Path | None, typer.Option(help="Picture: .svg, .pdf or .png.")] = None,
    model: Model = None,
    as_json: Json = False,
) -> None:
    """Add clients until p99 of a packet's latency misses its deadline; on this machine only."""
    import asyncio

    import audiodec

    try:
        from audiodec.evaluation.load.plot import draw
        from audiodec.evaluation.load.ramp import Plan, held, ramp
        from audiodec.evaluation.load.server import found, started
        from audiodec.evaluation.load.soak import soak
        from audiodec.evaluation.load.voices import make_voices
    except ImportError:
        raise MissingExtraError("load tests", "live,bench") from None

    codec = audiodec.load(model)
    options = ["--streams", str(most), "--workers", workers]
    options += ["--model", model] if model else []
    with (
        nullcontext(found(url)) if url else started(options) as server,
        console.status("coding what clients will say") as status,
    ):
        voices = make_voices(codec, min(VOICES, most), VOICE_S, frames)
        limit = deadline or 1000 * voices[0].format.seconds
        plan = Plan(voices, KINDS[transport], frames, limit)
        status.update("adding clients")
        steps = asyncio.run(ramp(server, plan, step, most, seconds, lambda _: None))
        best, soaked = held(steps, limit), None
        if minutes and best is not None:
            clients = max(1, round(at * best.clients))
            status.update(f"{clients} clients come and go for {minutes:g} minutes")
            soaked = asyncio.run(soak(server, plan, clients, minutes, lambda _: None))
    if plot is not None:
        draw(steps, soaked.looks if soaked else [], limit, plot)
    if as_json:
        result = {
            "model": codec.info.id, "workers": workers, "transport": transport, "frames": frames,
            "deadline": limit, "steps": [dataclasses.asdict(each) for each in steps],
            "held": best.clients if best else 0,
            "soak": dataclasses.asdict(soaked) if soaked else None,
        }  # fmt: skip
        typer.echo(json.dumps(result))
    else:
        _print(codec.info.id, steps, best, limit, soaked)
    if minutes and soaked is None:
        raise ConfigError("not even the first step meets the deadline: nobody came and went")
    if soaked is not None and soaked.wrong:
        raise ConfigError(f"{len(soaked.wrong)} streams went wrong: {soaked.wrong[0]}")


def _print(
    model: str, steps: list[Step], best: Step | None, limit: float, soaked: Soak | None
) -> None:
    cells = [
        [str(each.clients), f"{each.p50:.1f}", f"{each.p99:.1f}", f"{100 * each.late:.1f}",
         f"{each.cores:.2f}", f"{each.memory:.0f}"]
        for each in steps
    ]  # fmt: skip
    print_table(
        ("streams", "median", "p99", "late %", "cores", "MB"),
        cells,
        title=f"{model}: ms from a packet's last sample to its answer, deadline {limit:.1f}",
    )
    typer.echo(f"{best.clients if best else 0} streams: p99 inside the deadline")
    refused = sum((Counter(each.ended) for each in steps), Counter[str]())
    for how, count in refused.items():
        typer.echo(f"{count:6d} of the ramp ended: {how}")
    if soaked is None:
        return
    typer.echo(f"{soaked.packets} packets of clients that came and went were checked")
    for how, count in soaked.ended.items():
        typer.echo(f"{count:6d} ended: {how}")
    for how, count in sorted(soaked.misbehaved.items()):
        typer.echo(f"{count:6d} misbehaved: {how}")
    for what, value in soaked.counted.items():
        typer.echo(f"{value:6.0f} {what} by the server")
    memory = [look.memory for look in soaked.looks]
    typer.echo(f"memory: {memory[0]:.0f} MB at first, {memory[-1]:.0f} MB at last, "
               f"{max(memory):.0f} MB at most")  # fmt: skip
