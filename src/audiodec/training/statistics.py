"""Mean and scale of quantized latents over the training set, by which vocoders normalise."""

from __future__ import annotations

from pathlib import Path

import torch
from rich.progress import track
from torch import Tensor

from audiodec.nn.hifigan import HifiganDecoder
from audiodec.nn.network import Network
from audiodec.published.checkpoint import read_statistics
from audiodec.training.data import Crops
from audiodec.training.recipe import Recipe


@torch.no_grad()
def measure_statistics(network: Network, recipe: Recipe, frames: int) -> tuple[Tensor, Tensor]:
    """Measure mean and standard deviation of each dimension, over at least `frames` frames."""
    c = recipe.codec
    crops = Crops(recipe.data, c.sample_rate, c.hop, recipe.seed, c.channels)
    per_step = crops.data.batch * crops.samples // c.hop
    found = []
    for step in track(range(-(-frames // per_step)), "statistics", transient=True):
        codes = network.quantizer.encode(network.encoder(crops[step].input))
        found.append(network.quantizer.decode(codes).transpose(1, 2).flatten(0, 1))
    quantized = torch.cat(found)
    return quantized.mean(0), quantized.std(0).clamp_min(1e-5)


def set_statistics(network: Network, recipe: Recipe) -> None:
    """Give a vocoder the statistics of the recipe's file, or measure them.

    Raises:
        ModelError: the file holds no statistics of this codec's size.
    """
    decoder = network.decoder
    assert isinstance(decoder, HifiganDecoder)
    if recipe.statistics is None:
        frames = recipe.quantization.start_latents
        mean, scale = measure_statistics(network, recipe, frames)
    else:
        mean, scale = read_statistics(Path(recipe.statistics), recipe.codec.quantizer.dim)
    decoder.mean.copy_(mean)
    decoder.scale.copy_(scale)
