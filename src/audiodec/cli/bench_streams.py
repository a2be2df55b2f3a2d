"""`audiodec bench streams`: how many streams one thread holds."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated

import typer

from audiodec.cli.common import Json, Model, console
from audiodec.cli.tables import print_table

if TYPE_CHECKING:
    from audiodec.evaluation.streams import Load


def streams(
    ticks: Annotated[int, typer.Option(min=100, help="Ticks timed per number of streams.")] = 500,
    frames: Annotated[
        int, typer.Option(min=1, max=3, help="In a packet: a longer deadline, more delay.")
    ] = 1,
    model: Model = None,
    as_json: Json = False,
) -> None:
    """Count the full-duplex streams that one thread holds, all batched into one call per frame."""
    from rich.progress import track

    from audiodec.evaluation.streams import CLOCKS, STREAM_COUNTS, held, measure, table
    from audiodec.pretrained import ModelFolders, find_model
    from audiodec.runtime.onnx import OnnxRuntime

    runtime = OnnxRuntime(ModelFolders.one(find_model(model)), threads=1)
    rows = list(track(table(runtime, ticks, frames), "timing", len(STREAM_COUNTS), console=console))
    with console.status("looking for the most streams that fit"):
        best = {
            clock: held(rows, clock, lambda count: measure(runtime, count, ticks, frames))
            for clock in CLOCKS
        }
    if as_json:
        result = {
            "model": runtime.info.id,
            "ticks": ticks,
            "frames": frames,
            "loads": [dataclasses.asdict(row) for row in rows],
            "held": {
                name: dataclasses.asdict(load) if load else None for name, load in best.items()
            },
        }
        typer.echo(json.dumps(result))
        return
    _print(runtime.info.id, rows, best)


def _print(model: str, rows: list[Load], best: dict[str, Load | None]) -> None:
    title = (
        f"{model}, one thread; a tick holds {rows[0].deadline:.2f} ms of each stream, times in ms"
    )
    cells = []
    for row in rows:
        times = (row.median, row.p99, row.cpu_median, row.cpu_p99, row.median / row.streams)
        cells.append([str(row.streams), *(f"{time:.2f}" for time in times)])
    print_table(
        ("streams", "tick median", "p99", "CPU median", "CPU p99", "per stream"),
        cells,
        title=title,
        caption="tick: encode and decode all streams once",
    )
    texts = {
        "p99": "p99 of a tick inside its deadline",
        "median": "median of a tick inside its deadline",
        "cpu_p99": "p99 of the thread's CPU time inside it, without other programs",
    }
    for name, text in texts.items():
        load = best[name]
        typer.echo(f"{load.streams if load else 0:4d} streams: {text}")
