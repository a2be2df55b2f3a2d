"""Published checkpoints -> our networks: every tensor accounted for, nothing executed.

The published format: a pickle of `{"model": {"generator": state_dict, ...}, ...}` with a YAML of
the generator's parameters beside it, and for vocoders `stats.npy` (mean; scale).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from audiodec.config import (
    CodecConfig,
    HifiganDecoderConfig,
    SeanetDecoderConfig,
    SeanetEncoderConfig,
    from_data,
    to_data,
)
from audiodec.errors import ConfigError, ModelError
from audiodec.nn.hifigan import HifiganDecoder
from audiodec.nn.layers import CausalConv1d, CausalConvTranspose1d
from audiodec.nn.network import Network
from audiodec.nn.seanet import DILATIONS

Tensors = dict[str, Tensor]
# Hidden streaming buffers and what only training needs.
LEFT_OUT = re.compile(r"\.pad_buffer$|\.cluster_size$|\.embed_avg$")


def import_checkpoint(path: Path, config: Path | None, autoencoder: Network | None) -> Network:
    """Build our network from a published checkpoint.

    Args:
        path: the `.pkl` file.
        config: its YAML; `config.yml` beside it if not given.
        autoencoder: for a vocoder: the codec whose codes it was trained on.

    Raises:
        ModelError: unreadable, a tensor is missing, left over or of the wrong shape, or a vocoder
            without its autoencoder.
        ConfigError: the YAML is unreadable or describes another kind of model.
    """
    settings = read_settings(config or path.parent / "config.yml")
    tensors = fold_weight_norm(read_tensors(path))
    try:
        return _build(settings, tensors, path, autoencoder)
    except KeyError as error:
        raise ConfigError(f"config.yml: generator_params lacks {error}") from None


def _build(
    settings: dict[str, Any], tensors: Tensors, path: Path, autoencoder: Network | None
) -> Network:
    if settings.get("train_mode") == "vocoder":
        if autoencoder is None:
            raise ModelError(
                f"{path} is a vocoder: import its autoencoder first and name it with --autoencoder"
            )
        statistics = path.parent / Path(str(settings["generator_params"].get("stats"))).name
        return _vocoder(settings, tensors, statistics, autoencoder)
    return _autoencoder(settings, tensors)


def read_settings(path: Path) -> dict[str, Any]:
    """Read the published YAML. Raises ConfigError when it is unreadable or lacks what we need."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(data["generator_params"], dict) or "sampling_rate" not in data:
            raise KeyError("sampling_rate")
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{path}: not a published config.yml: {reason}") from None
    assert isinstance(data, dict)
    return data


def read_tensors(path: Path) -> Tensors:
    """Read the generator's tensors, without unpickling anything but tensors.

    Raises:
        ModelError: unreadable, or not a published checkpoint.
    """
    try:
        data = torch.load(path, map_location="cpu", weights_only=True)
        generator = data["model"]["generator"]
        assert all(isinstance(value, Tensor) for value in generator.values())
    except Exception as error:  # torch raises many kinds for damaged or hostile files
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{path}: not a published checkpoint: {reason}") from None
    return {k: v.float() for k, v in generator.items() if not LEFT_OUT.search(k)}


def fold_weight_norm(tensors: Tensors) -> Tensors:
    """Compute weight_g * weight_v / |weight_v|, the norm over all dimensions but the first."""
    folded = {}
    for name, value in tensors.items():
        if name.endswith("weight_g"):
            stem = name.removesuffix("_g")
            direction = tensors.get(f"{stem}_v")
            if direction is None:
                raise ModelError(f"{name} comes without {stem}_v")
            dims = tuple(range(1, direction.dim()))
            folded[stem] = value * direction / direction.norm(dim=dims, keepdim=True)
        elif not (name.endswith("weight_v") and name.removesuffix("_v") + "_g" in tensors):
            folded[name] = value
    return folded


def _autoencoder(settings: dict[str, Any], tensors: Tensors) -> Network:
    p = settings["generator_params"]
    kind = p.get("codec", "audiodec")
    _expect(p, "codec", "audiodec", "activate_audiodec")
    _expect(p, "projector", "conv1d")
    _expect(p, "quantier", "residual_vq")
    _expect(p, "mode", "causal")
    strides, shared = p["enc_strides"], {"kind": "seanet", "activated": kind != "audiodec"}
    config = from_data(
        CodecConfig,
        {
            "sample_rate": settings["sampling_rate"],
            "hop": int(np.prod(strides)),
            "channels": p.get("input_channels", 1),
            "encoder": {
                **shared, "channels": p["encode_channels"], "ratios": p["enc_ratios"],
                "strides": strides,
            },
            "quantizer": {
                "codebooks": p["codebook_num"], "codebook_size": p["codebook_size"],
                "dim": p["code_dim"],
            },
            "decoder": {
                **shared, "channels": p["decode_channels"], "ratios": p["dec_ratios"],
                "strides": p["dec_strides"],
            },
        },
        "config.yml",
    )  # fmt: skip
    network = Network(config)
    assert isinstance(config.encoder, SeanetEncoderConfig)
    assert isinstance(config.decoder, SeanetDecoderConfig)
    rest = dict(tensors)
    fill(network.encoder, encoder_names(config.encoder), rest)
    for codebook in range(config.quantizer.codebooks):
        name = f"quantizer.codebook.layers.{codebook}.embed"
        if name not in rest:
            raise ModelError(f"the checkpoint lacks {name}")
        _copy(network.quantizer.codebooks[codebook], rest.pop(name).t(), name)
    fill(network.decoder, decoder_names(config.decoder), rest)
    _nothing_left(rest)
    return network.eval()


def _vocoder(
    settings: dict[str, Any], tensors: Tensors, statistics: Path, autoencoder: Network
) -> Network:
    p = settings["generator_params"]
    _expect(p, "nonlinear_activation", "LeakyReLU")
    _expect(p, "nonlinear_activation_params", {"negative_slope": 0.1})
    _expect(p, "use_additional_convs", True)
    _expect(p, "resblock_dilations", [p["resblock_dilations"][0]] * len(p["resblock_kernel_sizes"]))
    base = autoencoder.config
    decoder = {
        "kind": "hifigan", "channels": p["channels"], "kernel": p["kernel_size"],
        "strides": p["upsample_scales"], "kernels": p["resblock_kernel_sizes"],
        "dilations": p["resblock_dilations"][0], "groups": p["groups"],
        "weight_norm": False,  # folded here
    }  # fmt: skip
    if p["in_channels"] != base.quantizer.dim or settings["sampling_rate"] != base.sample_rate:
        raise ModelError(
            f"the vocoder takes {p['in_channels']} dimensions at {settings['sampling_rate']} Hz, "
            f"its autoencoder gives {base.quantizer.dim} at {base.sample_rate} Hz"
        )
    config = from_data(CodecConfig, {**to_data(base), "decoder": decoder}, "config.yml")
    network = Network(config)
    network.encoder.load_state_dict(autoencoder.encoder.state_dict())
    network.quantizer.load_state_dict(autoencoder.quantizer.state_dict())
    assert isinstance(config.decoder, HifiganDecoderConfig)
    assert isinstance(network.decoder, HifiganDecoder)
    rest = dict(tensors)
    if not {"mean", "scale"} <= rest.keys():
        rest["mean"], rest["scale"] = read_statistics(statistics, base.quantizer.dim)
    _copy(network.decoder.mean, rest.pop("mean"), "mean")
    _copy(network.decoder.scale, rest.pop("scale"), "scale")
    fill(network.decoder, vocoder_names(config.decoder), rest)
    _nothing_left(rest)
    return network.eval()


def _expect(settings: dict[str, Any], name: str, *known: Any) -> None:
    """Refuse what would change the sound unseen. Raises ConfigError."""
    if settings.get(name, known[0]) not in known:
        raise ConfigError(f"config.yml: {name} {settings[name]!r} is not known here")


def read_statistics(path: Path, dim: int) -> tuple[Tensor, Tensor]:
    """Read mean and scale from a vocoder's `stats.npy`.

    Raises:
        ModelError: unless the file holds [2, dim] finite numbers, scales above zero.
    """
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read as statistics: {error}") from None
    if values.shape != (2, dim) or not np.isfinite(values).all() or (values[1] <= 0).any():
        raise ModelError(f"{path}: not a mean and a scale of {dim} dimensions")
    mean, scale = torch.from_numpy(values.astype(np.float32))
    return mean, scale


def fill(module: nn.Module, names: list[str], tensors: Tensors) -> None:
    """Move published tensors into our convolutions.

    Args:
        names: published name of each convolution, in signal order.
        tensors: those used are taken out.

    Raises:
        ModelError: a tensor is missing or of another shape.
    """
    for name, (weight, bias) in zip(names, _convolutions(module), strict=True):
        for suffix, target in (("weight", weight), ("bias", bias)):
            full = f"{name}.{suffix}"
            if target is not None:
                if full not in tensors:
                    raise ModelError(f"the checkpoint lacks {full}")
                _copy(target, tensors.pop(full), full)


def encoder_names(c: SeanetEncoderConfig) -> list[str]:
    """List published names of the encoder's and projector's convolutions."""
    names = ["encoder.conv.conv"]
    for i in range(len(c.strides)):
        block = f"encoder.conv_blocks.{i}"
        names += [*_unit_names(block), f"{block}.conv.conv"]
    return [*names, "projector.project.conv"]


def decoder_names(c: SeanetDecoderConfig) -> list[str]:
    """List published names of the decoder's convolutions."""
    names = ["decoder.conv1.conv"]
    for i in range(len(c.strides)):
        block = f"decoder.conv_blocks.{i}" + (".1" if c.activated else "")
        names += [f"{block}.conv.deconv", *_unit_names(block)]
    return [*names, "decoder.conv2.conv"]


def vocoder_names(c: HifiganDecoderConfig) -> list[str]:
    """List published names of the vocoder's convolutions."""
    names = ["input_conv.conv"]
    for i in range(len(c.strides)):
        names.append(f"upsamples.{i}.deconv")
        kernels = range(len(c.kernels))
        blocks = [f"blocks.{i}"] if c.groups > 1 else [f"blocks.{i}.blocks.{k}" for k in kernels]
        for block in blocks:
            for j in range(len(c.dilations)):
                names += [f"{block}.convs1.{j}.conv", f"{block}.convs2.{j}.conv"]
        if c.groups > 1:
            names.append(f"blocks.{i}.conv_out")
    return [*names, "output_conv.conv"]


def _unit_names(block: str) -> list[str]:
    units = [f"{block}.res_units.{j}" for j in range(len(DILATIONS))]
    return [name for unit in units for name in (f"{unit}.conv1.conv", f"{unit}.conv2")]


def _convolutions(module: nn.Module) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Weight and bias of every convolution, in signal order."""
    for layer in module.modules():
        if isinstance(layer, CausalConv1d):
            yield layer.conv.weight, layer.conv.bias
        elif isinstance(layer, CausalConvTranspose1d):
            yield layer.conv.weight, layer.bias


def _nothing_left(tensors: Tensors) -> None:
    if tensors:
        raise ModelError(f"the checkpoint holds tensors of no known place: {sorted(tensors)}")


def _copy(target: Tensor, source: Tensor, name: str) -> None:
    if source.numel() != target.numel() or [d for d in source.shape if d > 1] != [
        d for d in target.shape if d > 1
    ]:
        raise ModelError(f"{name}: shape {tuple(source.shape)}, expected {tuple(target.shape)}")
    with torch.no_grad():
        target.copy_(source.reshape(target.shape))
