"""Make a smaller model of a trained one: fewer hidden units in every block.

    python recipes/shrink.py speech-48k OUT --recipe recipes/default.yaml \
        --encoder-expansion 1 --decoder-expansion 1.33333

Block by block, hidden units are removed one at a time, always the one whose loss the others can
make up for best, measured on random crops of the recipe's training data; the contracting matrix
is refitted by least squares at each removal ("optimal brain surgeon", Hassibi and Stork, 1992, for
whole units). The result sounds a little worse than the model it comes from and is meant as a
start: train on with `init=OUT`.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import torch
from rich.progress import track
from torch import Tensor, nn

from audiodec.errors import AudioDecError, ModelError
from audiodec.export.onnx import export_model
from audiodec.nn.network import Network
from audiodec.nn.spectral import FeedForward
from audiodec.pretrained import find_model
from audiodec.runtime.torch import load_network
from audiodec.training.data import Crops
from audiodec.training.recipe_file import load_recipe

STEPS = 60  # batches of crops from which a block's statistics come


def feed_forwards(part: nn.Module) -> list[FeedForward]:
    return [module for module in part.modules() if isinstance(module, FeedForward)]


@torch.no_grad()
def hidden(codec: Network, layer: FeedForward, crops: Crops) -> Iterator[Tensor]:
    """Hidden units of a layer on training speech, [frames, units] for each batch."""
    inputs: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    expand, activation, _ = layer
    for step in range(STEPS):
        codes = codec.quantizer.encode(codec.encoder(crops[step].input))
        codec.decoder(codec.quantizer.decode(codes))
        yield activation(expand(inputs.pop())).flatten(0, 1)
    hook.remove()


@torch.no_grad()
def shrink(layer: FeedForward, units: int, samples: Iterator[Tensor]) -> None:
    """Keep `units` hidden units, in place."""
    expand, _, contract = layer
    assert isinstance(expand, nn.Linear)
    assert isinstance(contract, nn.Linear)
    count, total, square = 0, torch.zeros(()), torch.zeros(())
    for batch in samples:
        double = batch.double()
        count += len(double)
        total = total + double.sum(0)
        square = square + double.t() @ double
    mean = total / count
    covariance = square / count - torch.outer(mean, mean)
    covariance += 1e-4 * covariance.diagonal().mean() * torch.eye(len(mean), dtype=torch.float64)
    inverse = torch.linalg.inv(covariance)
    weight = contract.weight.double()
    bias = contract.bias.double() + weight @ mean
    kept = torch.ones(len(mean), dtype=torch.bool)
    for _ in range(len(mean) - units):
        cost = weight.square().sum(0) / inverse.diagonal()
        least = int(cost.masked_fill(~kept, torch.inf).argmin())
        row = inverse[least] / inverse[least, least]
        weight = weight - torch.outer(weight[:, least], row)
        inverse = inverse - torch.outer(inverse[:, least], row)
        kept[least] = False
        inverse[least, least] = 1.0  # out of the way: its row and column are zero
        weight[:, least] = 0
    bias -= weight[:, kept] @ mean[kept]
    smaller_expand = nn.Linear(expand.in_features, units)
    smaller_contract = nn.Linear(units, contract.out_features)
    smaller_expand.weight.copy_(expand.weight[kept])
    smaller_expand.bias.copy_(expand.bias[kept])
    smaller_contract.weight.copy_(weight[:, kept])
    smaller_contract.bias.copy_(bias)
    layer[0], layer[2] = smaller_expand, smaller_contract


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="bundled model or model folder")
    parser.add_argument("out", type=Path, help="new model folder")
    parser.add_argument("--recipe", type=Path, required=True, help="whose data to listen to")
    parser.add_argument("--encoder-expansion", type=float, required=True)
    parser.add_argument("--decoder-expansion", type=float, required=True)
    options = parser.parse_args()
    try:
        make(options)
    except AudioDecError as error:
        parser.error(str(error))


def make(options: argparse.Namespace) -> None:
    """Raises AudioDecError when the model is not to be shrunk so."""
    if options.out.exists():
        raise ModelError(f"{options.out} already exists: choose another folder or remove it")
    codec = load_network(find_model(options.model)).eval()
    recipe, c = load_recipe(options.recipe), codec.config
    parts = {"encoder": options.encoder_expansion, "decoder": options.decoder_expansion}
    for name, expansion in parts.items():
        now = getattr(getattr(c, name), "expansion", 0)
        if not 0 < expansion <= now:
            raise ModelError(f"the {name}'s expansion is {now:g}: it cannot become {expansion:g}")
    crops = Crops(recipe.data, c.sample_rate, c.hop, recipe.seed, c.channels)
    smaller = {
        name: dataclasses.replace(getattr(c, name), expansion=expansion)
        for name, expansion in parts.items()
    }
    target = Network(dataclasses.replace(c, **smaller))
    layers = [
        (layer, aim[0].out_features)
        for part in parts
        for layer, aim in zip(
            feed_forwards(getattr(codec, part)), feed_forwards(getattr(target, part)), strict=True
        )
    ]
    for layer, units in track(layers, "blocks"):
        shrink(layer, units, hidden(codec, layer, crops))
    target.load_state_dict(codec.state_dict())
    export_model(target, options.out.name, options.out)


if __name__ == "__main__":
    main()
