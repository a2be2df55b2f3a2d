"""Where a run's weights come from: a trained model's parts, direction and length apart."""

from __future__ import annotations

import dataclasses

from audiodec.config import (
    DecoderConfig,
    EncoderConfig,
    SpectralDecoderConfig,
    SpectralEncoderConfig,
)
from audiodec.errors import ConfigError
from audiodec.nn.layers import add_weight_norm
from audiodec.nn.network import Network
from audiodec.pretrained import find_model
from audiodec.runtime.torch import load_network
from audiodec.training.joining import can_join, join
from audiodec.training.recipe import Recipe


def initialise(network: Network, recipe: Recipe) -> list[str]:
    """Copy every part of the model `recipe.init` that has the same configuration.

    The quantizer comes along only with its encoder. A codec whose frames are several of the
    model's starts with its latents joined (`training/joining.py`).

    Returns:
        what came along: `encoder` (with the codebooks), `decoder`, `latents` (joined).

    Raises:
        ConfigError: no part fits.
        ModelError: no such model.
    """
    model = str(recipe.init)
    trained = load_network(find_model(model))
    ours, theirs = network.config, trained.config
    if can_join(ours, theirs):
        join(network, trained, recipe)
        return ["latents", "decoder"]
    if (ours.sample_rate, ours.hop, ours.channels) != (
        theirs.sample_rate, theirs.hop, theirs.channels
    ):  # fmt: skip
        raise ConfigError(f"init: model {model} has another sample rate, hop or channel count")
    encoder = _plain(ours.encoder) == _plain(theirs.encoder) and ours.quantizer == theirs.quantizer
    decoder = _plain(ours.decoder) == _plain(theirs.decoder)
    if encoder:
        network.encoder.load_state_dict(trained.encoder.state_dict())
        network.quantizer.load_state_dict(trained.quantizer.state_dict())
    if decoder:
        network.decoder.load_state_dict(trained.decoder.state_dict())
    if not encoder and not decoder:
        raise ConfigError(f"init: model {model} shares neither encoder nor decoder with `codec`")
    return [name for name, came in (("encoder", encoder), ("decoder", decoder)) if came]


def with_weight_norm(network: Network) -> None:
    """Let the parts that the configuration says learn with weight norm do so."""
    for name in ("encoder", "decoder"):
        if getattr(getattr(network.config, name), "weight_norm", False):
            add_weight_norm(getattr(network, name))


def _plain(part: EncoderConfig | DecoderConfig) -> EncoderConfig | DecoderConfig:
    """Give a part's configuration apart from how its weights learn."""
    if isinstance(part, SpectralEncoderConfig | SpectralDecoderConfig):
        return part
    return dataclasses.replace(part, weight_norm=False)
