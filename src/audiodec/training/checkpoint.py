"""A run's state on disk: written whole or not at all, read without unpickling objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from audiodec.audio_files.writing import write_whole
from audiodec.errors import AudioError, ModelError
from audiodec.nn.layers import fold_weight_norm
from audiodec.nn.network import Network
from audiodec.training.init import with_weight_norm
from audiodec.training.recipe_file import load_recipe

LAST = "last.ckpt"


def save(state: dict[str, Any], run: Path) -> None:
    """Replace the run's checkpoint; a kill at any moment leaves the old one or the new one."""
    with write_whole(str(run / LAST)) as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # torch's word for a full disk
            raise AudioError(f"{run / LAST} cannot be written: {error}") from None


def load(run: Path) -> dict[str, Any]:
    """Load the run's checkpoint. Raises ModelError when there is none or it is damaged."""
    path = run / LAST
    if not path.is_file():
        raise ModelError(f"{run} has no {LAST}: nothing to resume or export")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for damaged files
        raise ModelError(f"{path} is damaged: {str(error).splitlines()[0]}") from None
    assert isinstance(state, dict)
    return state


def take_over(module: nn.Module, weights: dict[str, Any], run: Path) -> None:
    """Give a module the weights of the run's checkpoint. Raises ModelError when they do not fit."""
    try:
        module.load_state_dict(weights)
    except RuntimeError:  # torch's word for other names or shapes, a line for each
        raise ModelError(
            f"{run / LAST} holds another network than {run / 'recipe.yaml'} describes: "
            "put back the recipe that it was trained with"
        ) from None


def trained_network(run: Path) -> Network:
    """Load the network of a run's last checkpoint, in evaluation mode.

    Args:
        run: The run folder.

    Raises:
        ModelError: No checkpoint, damaged, of another network, or codebooks that have not started.
    """
    network = Network(load_recipe(run / "recipe.yaml").codec)
    state = load(run)
    if not state["started"]:
        raise ModelError(f"{run}: the codebooks have not started yet; train on, then export")
    with_weight_norm(network)
    take_over(network, state["codec"], run)
    fold_weight_norm(network)
    return network.eval()
