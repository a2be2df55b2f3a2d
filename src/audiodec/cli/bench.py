"""`audiodec bench`: measurements on this machine."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from audiodec.cli.common import Json, Model
from audiodec.cli.tables import print_table
from audiodec.errors import MissingExtraError

if TYPE_CHECKING:
    from audiodec.evaluation.latency import Window

bench = typer.Typer(no_args_is_help=True, help="Measure on this machine.")


@bench.callback()
def group() -> None:
    """Measure on this machine."""


@bench.command()
def latency(
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    windows: Annotated[int, typer.Option(min=10, help="Windows timed per size.")] = 300,
    model: Model = None,
    recipe: Annotated[
        Path | None, typer.Option(help="Time a recipe's network with random weights instead.")
    ] = None,
    eager: Annotated[
        bool, typer.Option("--eager", help="Also time plain torch, window by window beside it.")
    ] = False,
    device: Annotated[
        str | None, typer.Option(help="Device of plain torch, e.g. cuda; implies --eager.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure the processing time per window, encoder and decoder apart."""
    import tempfile

    import audiodec
    from audiodec.evaluation.latency import cold_start, measure
    from audiodec.pretrained import find_model

    with tempfile.TemporaryDirectory() as temporary:
        folder = find_model(model) if recipe is None else _untrained(recipe, Path(temporary))
        runtimes: list[Literal["onnx", "torch"]] = ["onnx"]
        codecs = [audiodec.load(folder, threads=threads)]
        if eager or device is not None:
            runtimes.append("torch")
            _limit_torch(threads)
            codecs.append(audiodec.load(folder, runtime="torch", device=device))
        results = dict(zip(runtimes, measure(codecs, windows), strict=True))
        load, first = cold_start(str(folder.resolve()))
    name = codecs[0].info.id if recipe is None else f"{recipe.stem} (random weights, speed only)"
    if as_json:
        result = {
            "model": name,
            "threads": threads,
            "cold_start_s": {"load": load, "first_frame": first},
            "windows_ms": [dataclasses.asdict(row) for row in results["onnx"]],
        }
        if "torch" in results:
            result["device"] = device or "cpu"
            result["eager_windows_ms"] = [dataclasses.asdict(row) for row in results["torch"]]
        typer.echo(json.dumps(result))
        return
    for runtime, rows in results.items():
        where = f"torch on {device}" if runtime == "torch" and device else runtime
        title = f"{name}, {where}, {threads} thread(s), {windows} windows each, all times in ms"
        _print_latency(title, rows)
    typer.echo(f"cold start: import and load {load:.2f} s, first frame {1000 * first:.1f} ms")


def _limit_torch(threads: int) -> None:
    try:
        import torch
    except ImportError:
        raise MissingExtraError("timing plain torch", "train") from None
    torch.set_num_threads(threads)


def _print_latency(title: str, rows: list[Window]) -> None:
    cells = []
    for row in rows:
        encode, decode = (
            f"{t.median:.2f} / {t.p95:.2f} / {t.p99:.2f}" for t in (row.encode, row.decode)
        )
        times = (f"{time:.2f}" for time in (row.length, row.algorithmic, row.buffering))
        rtf = (row.encode.median + row.decode.median) / row.length
        cells.append([*times, encode, decode, f"{rtf:.3f}"])
    print_table(
        ("window", "algorithmic", "buffering", "encode median / p95 / p99",
         "decode median / p95 / p99", "RTF"),
        cells,
        title=title,
        caption="waiting = algorithmic + buffering; RTF = (encode + decode) median / window",
    )  # fmt: skip


def _untrained(recipe: Path, temporary: Path) -> Path:
    """Make a model folder with a recipe's network as it is before training."""
    try:
        import torch

        from audiodec.export.onnx import export_model
        from audiodec.nn.network import Network
        from audiodec.training.recipe_file import load_recipe
    except ImportError:
        raise MissingExtraError("timing a recipe", "train") from None
    torch.manual_seed(0)
    network = Network(load_recipe(recipe).codec)
    torch.nn.init.normal_(network.quantizer.codebooks)
    export_model(network, "untrained", temporary / "untrained", torch.float32, for_browsers=False)
    return temporary / "untrained"
