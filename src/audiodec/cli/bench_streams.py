"""`audiodec bench streams`: how many streams one thread holds, and several processes together."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

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
    workers: Annotated[
        int, typer.Option(min=1, max=256, help="Processes that are measured side by side.")
    ] = 1,
    model: Model = None,
    as_json: Json = False,
) -> None:
    """Count the full-duplex streams that one thread holds, all batched into one call per frame.

    With several workers, also what as many processes hold together, on a core each.
    """
    from audiodec.evaluation.stream_workers import side_by_side
    from audiodec.evaluation.streams import measure
    from audiodec.pretrained import ModelFolders, find_model
    from audiodec.runtime.onnx import OnnxRuntime

    runtime = OnnxRuntime(ModelFolders.one(find_model(model)), threads=1)
    one = _find(lambda count: measure(runtime, count, ticks, frames), 1)
    together = None
    if workers > 1:
        with side_by_side(runtime, workers) as measured:
            together = _find(lambda count: measured(count, ticks, frames), workers)
    if as_json:
        result = {"model": runtime.info.id, "ticks": ticks, "frames": frames, **_data(*one)}
        if together:
            result["together"] = {"workers": workers, **_data(*together)}
        typer.echo(json.dumps(result))
        return
    _print(f"{runtime.info.id}, one thread", *one)
    if together:
        _print(f"{runtime.info.id}, {workers} processes", *together)
        for clock in one[1]:
            alone, all_ = one[1][clock], together[1][clock]
            if alone and all_:
                ratio = all_.streams / alone.streams
                typer.echo(f"{ratio:.2f} times the streams of one, by {clock}")


def _find(
    measured: Callable[[int], Load], workers: int
) -> tuple[list[Load], dict[str, Load | None]]:
    """Give a table, and the most streams that fit by each clock."""
    from rich.progress import track

    from audiodec.evaluation.streams import CLOCKS, STREAM_COUNTS, held

    rows = [measured(count) for count in track(STREAM_COUNTS, "timing", console=console)]
    with console.status("looking for the most streams that fit"):
        return rows, {clock: held(rows, clock, measured, workers) for clock in CLOCKS}


def _data(rows: list[Load], best: dict[str, Load | None]) -> dict[str, Any]:
    return {
        "loads": [dataclasses.asdict(row) for row in rows],
        "held": {name: dataclasses.asdict(load) if load else None for name, load in best.items()},
    }


def _print(what: str, rows: list[Load], best: dict[str, Load | None]) -> None:
    title = f"{what}; a tick holds {rows[0].deadline:.2f} ms of each stream, times in ms"
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
