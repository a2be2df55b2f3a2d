"""`audiodec train` and `audiodec export`: from recordings to a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from audiodec.audio_files.writing import write_whole
from audiodec.cli.common import console
from audiodec.errors import ConfigError, MissingExtraError
from audiodec.pretrained import find_model

NEED = "training"
AcceleratorOption = Annotated[
    Literal["auto", "cpu", "cuda", "mps"],
    typer.Option(help="What computes; auto takes cuda or mps where there is one."),
]
PrecisionOption = Annotated[
    Literal["auto", "bf16-mixed", "32-true"] | None,
    typer.Option(help="In place of the recipe's; auto is what the device is fast in."),
]
DevicesOption = Annotated[
    int, typer.Option(min=1, help="Devices of each machine; with cpu, processes.")
]
ModelFolder = Annotated[Path, typer.Argument(help="Model folder to write.")]
ModelId = Annotated[str | None, typer.Option("--id", help="Its id; OUT's name if not given.")]


def train(
    recipe: Annotated[Path | None, typer.Argument(metavar="[RECIPE]", help="YAML file.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings to change.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; runs/NAME if not given.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with this run folder.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of each process.")] = 1,
    accelerator: AcceleratorOption = "auto",
    precision: PrecisionOption = None,
    devices: DevicesOption = 1,
    nodes: Annotated[
        int, typer.Option(min=1, help="Machines; start the command on each, e.g. with torchrun.")
    ] = 1,
) -> None:
    """Train a model from a recipe, or go on with a run."""
    try:
        import torch

        from audiodec.training.device import Hardware
        from audiodec.training.recipe_file import load_recipe
        from audiodec.training.trainer import Trainer
    except ImportError:
        raise MissingExtraError(NEED, "train") from None
    torch.set_num_threads(threads)
    if (recipe is None) == (resume is None):
        raise ConfigError("give a recipe to start a run, or --resume RUN to go on with one")
    hardware = Hardware(accelerator, precision, devices, nodes)
    if resume is not None:
        trainer = Trainer.resume(resume, hardware)
    else:
        assert recipe is not None
        settings = load_recipe(recipe, overrides or [])
        trainer = Trainer.start(settings, out or Path("runs") / settings.name, hardware)
    console.print(f"run folder {trainer.run}; watch it with: tensorboard --logdir {trainer.run}")
    trainer.fit()


def export(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    out: ModelFolder,
    model_id: ModelId = None,
) -> None:
    """Turn a run's last checkpoint into a model folder that `load` and --model take."""
    try:
        from audiodec.export.onnx import export_model
        from audiodec.training.checkpoint import trained_network
    except ImportError:
        raise MissingExtraError(NEED, "train") from None
    info = export_model(trained_network(run), model_id or default_id(out), out)
    console.print(f"{out}: model {info.id}, weights {info.weights_hash.hex()}", markup=False)


def statistics(
    recipe: Annotated[Path, typer.Argument(help="YAML file; its `init` names the autoencoder.")],
    out: Annotated[Path, typer.Argument(help=".npy file to write.")],
    frames: Annotated[int, typer.Option(min=1000, help="Frames looked at.")] = 100_000,
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings to change.")
    ] = None,
) -> None:
    """Measure an autoencoder's quantized latents: mean and scale, for a vocoder to normalise."""
    try:
        import numpy as np

        from audiodec.nn.network import Network
        from audiodec.training.init import initialise
        from audiodec.training.recipe_file import load_recipe
        from audiodec.training.statistics import measure_statistics
    except ImportError:
        raise MissingExtraError(NEED, "train") from None
    settings = load_recipe(recipe, overrides or [])
    network = Network(settings.codec).eval()
    if settings.init is None or "encoder" not in initialise(network, settings):
        raise ConfigError(f"{recipe}: `init` must name a model with this recipe's encoder")
    mean, scale = measure_statistics(network, settings, frames)
    with write_whole(str(out)) as file:
        np.save(file, np.stack([mean.numpy(), scale.numpy()]))
    console.print(f"{out}: mean and scale of {len(mean)} dimensions", markup=False)


def import_published(
    checkpoint: Annotated[Path, typer.Argument(help="Published checkpoint, .pkl.")],
    out: ModelFolder,
    config: Annotated[
        Path | None, typer.Option(help="Its YAML; config.yml beside it if not given.")
    ] = None,
    autoencoder: Annotated[
        str | None, typer.Option(help="For a vocoder: the imported model of its autoencoder.")
    ] = None,
    model_id: ModelId = None,
) -> None:
    """Turn a published AudioDec checkpoint into a model folder, executing nothing in it."""
    try:
        import torch

        from audiodec.export.onnx import export_model
        from audiodec.published.checkpoint import import_checkpoint
        from audiodec.runtime.torch import load_network
    except ImportError:
        raise MissingExtraError("importing checkpoints", "train") from None
    base = None if autoencoder is None else load_network(find_model(autoencoder))
    codec = import_checkpoint(checkpoint, config, base)
    # No graphs for browsers: published networks are too large for calls there.
    info = export_model(codec, model_id or default_id(out), out, torch.float32, for_browsers=False)
    console.print(f"{out}: model {info.id}, weights {info.weights_hash.hex()}", markup=False)


def default_id(out: Path) -> str:
    """Make a model id of a folder's name: lower case, at most 24 characters."""
    return out.name.lower()[:24]
