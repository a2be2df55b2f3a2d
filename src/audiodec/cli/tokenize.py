"""`audiodec tokenize`: a corpus to codes, for training on them."""

from __future__ import annotations

import dataclasses
import json
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiodec.adc import BEAM_WIDTH
from audiodec.cli.common import BeamWidth, Bitrate, Json, Model, console, pass_over, warn
from audiodec.errors import AudioDecError

if TYPE_CHECKING:
    from audiodec.tokenization.run import Tally


class Kind(StrEnum):
    """Formats in which shards can be written."""

    parquet = "parquet"
    webdataset = "webdataset"


def tokenize(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="MANIFEST",
            help="Manifest of `audiodec prepare`, folder, or text file of one path per line.",
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the shards.")],
    kind: Annotated[Kind, typer.Option("--format", help="Of the shards.")] = Kind.parquet,
    bitrate: Bitrate = None,
    beam_width: BeamWidth = BEAM_WIDTH,
    model: Model = None,
    shard_size: Annotated[
        float, typer.Option(min=0.001, max=100, help="Hours of audio per shard.")
    ] = 2,
    jobs: Annotated[int, typer.Option(min=1, help="Workers, of one thread each.")] = 1,
    ray: Annotated[
        str | None, typer.Option(help="Workers on Ray: address of a cluster, or local.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Code a corpus into shards, each file exactly once; the same command goes on after a kill."""
    from audiodec.tokenization.run import FAILED, Plan, tokenize

    plan = Plan.of(
        source, model=model, bitrate=bitrate, beam_width=beam_width, kind=kind.value,
        shard_hours=shard_size,
    )  # fmt: skip
    begin = time.perf_counter()
    with _Bar(begin) as bar:
        tally = tokenize(plan, out, jobs=jobs, ray=ray, progress=bar.show)
    elapsed = time.perf_counter() - begin
    if as_json:
        summary = dataclasses.asdict(tally) | {
            "jobs": jobs, "ray": ray, "elapsed": round(elapsed, 3),
            "hours_per_minute": round(tally.seconds / 60 / elapsed, 4),
            "times_real_time": round(tally.seconds / elapsed, 2),
        }  # fmt: skip
        typer.echo(json.dumps(summary))
    pass_over(plan.left_out)
    warn(tally.warnings)
    console.print(
        f"{out}: {tally.coded} files, {_speed(tally, elapsed)}, in {elapsed:.0f} s; "
        f"{tally.already} were done before; {tally.shards} shards",
        markup=False, soft_wrap=True,
    )  # fmt: skip
    if tally.failed:
        raise AudioDecError(
            f"{tally.failed} of {tally.files} files could not be coded: see {out / FAILED}"
        )


def _speed(tally: Tally, elapsed: float) -> str:
    return (
        f"{tally.seconds / 3600:.2f} h of audio, {tally.seconds / 60 / elapsed:.2f} h per minute, "
        f"{tally.seconds / elapsed:.1f} x real time"
    )


class _Bar:
    """A bar on a terminal; elsewhere a line for every shard."""

    def __init__(self, begin: float) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as Remaining

        columns = (
            BarColumn(), MofNCompleteColumn(), TextColumn("files, {task.description}"), Remaining()
        )  # fmt: skip
        self._bar = Progress(
            *columns, console=console, transient=True, disable=not console.is_terminal
        )
        self._task = self._bar.add_task("", total=None)
        self._begin = begin
        self._shards: int | None = None

    def __enter__(self) -> _Bar:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def show(self, tally: Tally) -> None:
        done, speed = (
            tally.already + tally.coded + tally.failed,
            _speed(tally, time.perf_counter() - self._begin),
        )
        self._bar.update(self._task, completed=done, total=tally.files, description=speed)
        if self._shards is not None and tally.shards > self._shards:
            console.print(f"{done} of {tally.files} files, {speed}", markup=False, soft_wrap=True)
        self._shards = tally.shards
