"""`audiodec bench train`: how fast this machine trains."""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from audiodec.cli.common import Json
from audiodec.cli.train import AcceleratorOption, DevicesOption, PrecisionOption
from audiodec.errors import MissingExtraError


def throughput(
    recipe: Annotated[Path, typer.Argument(help="YAML file; its sources need not be there.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings to change.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps timed of each stage.")] = 20,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of each process.")] = 1,
    accelerator: AcceleratorOption = "auto",
    precision: PrecisionOption = None,
    devices: DevicesOption = 1,
    as_json: Json = False,
) -> None:
    """Measure the seconds of audio a second that each stage of a recipe trains on.

    It trains on the bundled clip.
    """
    try:
        import torch

        from audiodec.training.device import Hardware
        from audiodec.training.recipe_file import load_recipe
        from audiodec.training.throughput import measure_throughput
    except ImportError:
        raise MissingExtraError("training", "train") from None
    torch.set_num_threads(threads)
    settings = load_recipe(recipe, overrides or [])
    hardware = Hardware(accelerator, precision, devices)
    with tempfile.TemporaryDirectory() as temporary:
        clip = Path(__file__).parents[1] / "assets" / "speech.flac"
        shutil.copy(clip, temporary)
        rows = measure_throughput(settings, hardware, Path(temporary), steps)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(row) for row in rows]))
        return
    for row in rows:
        typer.echo(
            f"{row.stage}: {row.audio_seconds_per_second:.1f} s of audio a second "
            f"({row.device}, {row.precision})"
        )
