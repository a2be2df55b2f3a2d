"""`audiodec train` and `audiodec export`: from recordings to a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audiodec.cli.common import console
from audiodec.errors import ConfigError, MissingExtraError

NEED = "training"


def train(
    recipe: Annotated[Path | None, typer.Argument(metavar="[RECIPE]", help="YAML file.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings to change.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; runs/NAME if not given.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with this run folder.")] = None,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
) -> None:
    """Train a model from a recipe, or go on with a run."""
    try:
        import torch

        from audiodec.training.recipe import load_recipe
        from audiodec.training.trainer import Trainer
    except ImportError:
        raise MissingExtraError(NEED, "train") from None
    torch.set_num_threads(threads)
    if (recipe is None) == (resume is None):
        raise ConfigError("give a recipe to start a run, or --resume RUN to go on with one")
    if resume is not None:
        trainer = Trainer.resume(resume)
    else:
        assert recipe is not None
        settings = load_recipe(recipe, overrides or [])
        trainer = Trainer.start(settings, out or Path("runs") / settings.name)
    console.print(f"run folder {trainer.run}; watch it with: tensorboard --logdir {trainer.run}")
    trainer.fit()


def export(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    out: Annotated[Path, typer.Argument(help="Model folder to write.")],
    model_id: Annotated[
        str | None, typer.Option("--id", help="Its id; OUT's name if not given.")
    ] = None,
) -> None:
    """Turn a run's last checkpoint into a model folder that `load` and --model take."""
    try:
        from audiodec.export.onnx import export_model
        from audiodec.training.checkpoint import trained_codec
    except ImportError:
        raise MissingExtraError(NEED, "train") from None
    info = export_model(trained_codec(run), model_id or out.name, out)
    console.print(f"{out}: model {info.id}, weights {info.weights_hash.hex()}", markup=False)
