"""`audiodec bench`: measurements on this machine."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from audiodec.cli.common import Json, Model, console
from audiodec.errors import MissingExtraError
from audiodec.fileio import write_whole

if TYPE_CHECKING:
    from audiodec.evaluation.latency import Window
    from audiodec.evaluation.quality import Mean

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
    as_json: Json = False,
) -> None:
    """Processing time per window, encoder and decoder apart."""
    import tempfile

    import audiodec
    from audiodec.evaluation.latency import cold_start, measure
    from audiodec.pretrained import find_model

    with tempfile.TemporaryDirectory() as temporary:
        folder = find_model(model) if recipe is None else _untrained(recipe, Path(temporary))
        runtimes: list[Literal["onnx", "torch"]] = ["onnx"]
        if eager:
            runtimes.append("torch")
            _limit_torch(threads)
        codecs = [audiodec.load(folder, runtime=r, threads=threads) for r in runtimes]
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
        if eager:
            result["eager_windows_ms"] = [dataclasses.asdict(row) for row in results["torch"]]
        typer.echo(json.dumps(result))
        return
    for runtime, rows in results.items():
        title = f"{name}, {runtime}, {threads} thread(s), {windows} windows each, all times in ms"
        _print_latency(title, rows)
    typer.echo(f"cold start: import and load {load:.2f} s, first frame {1000 * first:.1f} ms")


def _limit_torch(threads: int) -> None:
    try:
        import torch
    except ImportError:
        raise MissingExtraError("timing plain torch", "train") from None
    torch.set_num_threads(threads)


def _print_latency(title: str, rows: list[Window]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=title,
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


def _untrained(recipe: Path, temporary: Path) -> Path:
    """A model folder with a recipe's network as it is before training."""
    try:
        import torch

        from audiodec.codec.codec import Codec
        from audiodec.export.onnx import export_model
        from audiodec.training.recipe import load_recipe
    except ImportError:
        raise MissingExtraError("timing a recipe", "train") from None
    torch.manual_seed(0)
    network = Codec(load_recipe(recipe).codec)
    torch.nn.init.normal_(network.quantizer.codebooks)
    export_model(network, "untrained", temporary / "untrained", torch.float32)
    return temporary / "untrained"


@bench.command()
def quality(
    clips: Annotated[list[Path], typer.Argument(help="Audio files, or folders of them.")],
    bitrate: Annotated[
        list[float] | None, typer.Option(help="kbps; may be repeated. 3, 6, 9, 12 if not given.")
    ] = None,
    effort: Annotated[int, typer.Option(help="Of our encoder's search.")] = 1,
    model: Model = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Also write every score, as CSV.")] = None,
    as_json: Json = False,
) -> None:
    """Score a model beside Opus (auto and forced fullband) on the same clips, in one run."""
    from rich.progress import track

    from audiodec.evaluation.codecs import OpusSpec, OursSpec, Spec
    from audiodec.evaluation.metrics import METRICS
    from audiodec.evaluation.quality import find_clips, measure, summarise

    rates = bitrate or [3, 6, 9, 12]
    specs: list[Spec] = [OursSpec(model, rate, effort) for rate in rates]
    for rate in rates:
        if rate >= 6:  # the lowest that Opus takes
            specs += [OpusSpec(rate, fullband=False), OpusSpec(rate, fullband=True)]
    found = find_clips(clips)
    total = len(found) * len(specs)
    with write_whole(str(out or os.devnull)) as table:  # opened first: scoring takes long
        scores = list(track(measure(specs, found, jobs), "scoring", total, console=console))
        lines = [",".join(("codec", "clip", "kbps", "lag", *METRICS))]
        for s in scores:
            cells = ["" if v is None else f"{v:.4f}" for v in s.values.values()]
            lines.append(",".join((s.codec, s.clip, f"{s.kbps:.3f}", str(s.lag), *cells)))
        table.write(("\n".join(lines) + "\n").encode())
    _print_scores(summarise(scores), len(found), tuple(METRICS), as_json)


@bench.command()
def loss(
    clips: Annotated[list[Path], typer.Argument(help="Audio files, or folders of them.")],
    bitrate: Annotated[float, typer.Option(help="kbps.")] = 12,
    copies: Annotated[
        int, typer.Option(min=1, help="Leading stages of which copies ride along.")
    ] = 2,
    rates: Annotated[
        list[float] | None,
        typer.Option("--loss", min=0, max=0.9, help="Share of packets lost; may be repeated."),
    ] = None,
    burst: Annotated[float, typer.Option(min=1, help="Mean length of a run of losses.")] = 3,
    model: Model = None,
    as_json: Json = False,
) -> None:
    """Quality over lost packets of 20 ms, with and without copies, beside Opus with its FEC."""
    from rich.progress import track

    import audiodec
    from audiodec.evaluation.loss import METRICS, measure
    from audiodec.evaluation.quality import find_clips, summarise

    shares, found = rates or [0.0, 0.01, 0.05, 0.1, 0.2], find_clips(clips)
    scores = measure(audiodec.load(model), bitrate, copies, found, shares, burst)
    total = 3 * len(found) * len(shares)
    listed = list(track(scores, "scoring", total, console=console))
    _print_scores(summarise(listed), len(found), METRICS, as_json)


def _print_scores(
    summary: dict[str, dict[str, Mean]], clips: int, metrics: tuple[str, ...], as_json: bool
) -> None:
    from rich.console import Console
    from rich.table import Table

    if as_json:
        data = {
            name: {metric: dataclasses.asdict(mean) for metric, mean in row.items()}
            for name, row in summary.items()
        }
        typer.echo(json.dumps({"clips": clips, "codecs": data}))
        return
    table = Table(title=f"{clips} clips, mean and half the 95 % bootstrap interval")
    for column in ("codec", "measured kbps", *metrics):
        table.add_column(column, justify="left" if column == "codec" else "right")
    for name, row in summary.items():
        cells = [f"{row['kbps'].value:.2f}"]
        for metric in metrics:
            mean = row.get(metric)
            cells.append(f"{mean.value:.3f} ±{(mean.high - mean.low) / 2:.3f}" if mean else "-")
        table.add_row(name, *cells)
    Console().print(table)
