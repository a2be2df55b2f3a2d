"""Make a model whose decoder lies between those of two: a metric and an adversarial stage's.

    python recipes/average.py METRIC ADVERSARIAL OUT --share 0.5 --gain -0.3

Weights of one network, before and after it was trained on, can be averaged (Wortsman et al.,
"Robust fine-tuning of zero-shot models", 2022): the mean keeps most of what either is better at.
Encoder and codebooks must be the same in both. `--gain` then sets the level: a decoder trained
with losses of levels lets very quiet speech come out up to 1.1 dB louder.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch

from audiodec.errors import AudioDecError, ModelError
from audiodec.export.onnx import export_model
from audiodec.nn.network import Network
from audiodec.nn.spectral import GainShapeHead
from audiodec.pretrained import find_model
from audiodec.runtime.torch import load_network


def average(first: Network, second: Network, share: float) -> Network:
    """The first codec, its decoder moved towards the second's by `share` (0 to 1).

    Raises:
        ModelError: the two are not one network, or encoders or codebooks differ.
    """
    if first.config != second.config:
        raise ModelError("the two models are not of one configuration")
    state, other = first.state_dict(), second.state_dict()
    for name, weight in state.items():
        if name.startswith("decoder."):
            state[name] = torch.lerp(weight, other[name], share)
        elif not torch.equal(weight, other[name]):
            raise ModelError(f"the two models differ in {name}: only decoders are averaged")
    first.load_state_dict(state)
    return first


def amplify(codec: Network, gain: float) -> None:
    """Let the decoder's every band be louder by `gain` dB.

    Raises:
        ModelError: the decoder does not make its sound of bands.
    """
    head = getattr(codec.decoder, "head", None)
    if not isinstance(head, GainShapeHead):
        raise ModelError("only decoders that make their sound of bands can be turned up or down")
    with torch.no_grad():
        for layer in (head.gain, head.noise_gain):  # their outputs are logarithms
            layer.bias += gain / 20 * math.log(10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("first", help="bundled model or model folder")
    parser.add_argument("second", help="another, trained on from the first")
    parser.add_argument("out", type=Path, help="new model folder")
    parser.add_argument("--share", type=float, default=0.5, help="of the second, 0 to 1")
    parser.add_argument("--gain", type=float, default=0.0, help="of what the new one decodes, dB")
    parser.add_argument("--id", help="of the new model; the folder's name if not given")
    options = parser.parse_args()
    if not 0 <= options.share <= 1:
        parser.error(f"--share {options.share:g} is not between 0 and 1")
    try:
        first, second = (load_network(find_model(m)) for m in (options.first, options.second))
        codec = average(first, second, options.share)
        if options.gain:
            amplify(codec, options.gain)
        export_model(codec, options.id or options.out.name, options.out)
    except AudioDecError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
