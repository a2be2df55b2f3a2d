"""`audiodec bench`: measurements on this machine."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer

from audiodec.cli.common import Json, Model

bench = typer.Typer(no_args_is_help=True, help="Measure on this machine.")


@bench.callback()
def group() -> None:
    """Measure on this machine."""


@bench.command()
def latency(
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    windows: Annotated[int, typer.Option(min=10, help="Windows timed per size.")] = 300,
    model: Model = None,
    as_json: Json = False,
) -> None:
    """Processing time per window, encoder and decoder apart."""
    from rich.console import Console
    from rich.table import Table

    import audiodec
    from audiodec.evaluation.latency import cold_start, measure
    from audiodec.pretrained import find_model

    codec = audiodec.load(model, threads=threads)
    rows = measure(codec, windows)
    load, first = cold_start(str(find_model(model).resolve()))
    if as_json:
        result = {
            "model": codec.info.id,
            "threads": threads,
            "cold_start_s": {"load": load, "first_frame": first},
            "windows_ms": [dataclasses.asdict(row) for row in rows],
        }
        typer.echo(json.dumps(result))
        return
    table = Table(
        title=f"{codec.info.id}, {threads} thread(s), {windows} windows each, all times in ms",
        caption="waiting = algorithmic + buffering; RTF = (encode + decode) median / window",
    )
    for name in ("window", "algorithmic", "buffering", "encode median / p95 / p99",
                 "decode median / p95 / p99", "RTF"):  # fmt: skip
        table.add_column(name, justify="right")
    for row in rows:
        encode, decode = (
            f"{t.median:.2f} / {t.p95:.2f} / {t.p99:.2f}" for t in (row.encode, row.decode)
        )
        table.add_row(
            f"{row.length:.2f}", f"{row.algorithmic:.2f}", f"{row.buffering:.2f}", encode, decode,
            f"{(row.encode.median + row.decode.median) / row.length:.3f}",
        )  # fmt: skip
    Console().print(table)
    typer.echo(f"cold start: import and load {load:.2f} s, first frame {1000 * first:.1f} ms")
