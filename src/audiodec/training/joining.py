"""Longer frames from a trained model of shorter ones: neighbouring latents become one.

Encoder and decoder go on at the old rate, as fine blocks of sub-frames. The maps between them and
the new latents begin as the model's own maps, side by side, and the latents' principal components.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from audiodec.config import CodecConfig, SpectralDecoderConfig, SpectralEncoderConfig
from audiodec.nn.network import Network
from audiodec.nn.spectral import Join, SpectralDecoder, SpectralEncoder, Split
from audiodec.nn.streaming import Pointwise
from audiodec.training.data import Crops
from audiodec.training.recipe import Recipe


def joined(config: CodecConfig, count: int) -> CodecConfig:
    """Make the configuration of a spectral codec whose frames are `count` of the given one's.

    Args:
        config: of a codec without sub-frames.
        count: frames joined into one.
    """
    encoder, decoder = config.encoder, config.decoder
    assert isinstance(encoder, SpectralEncoderConfig)
    assert isinstance(decoder, SpectralDecoderConfig)
    width = count * config.quantizer.dim
    return dataclasses.replace(
        config,
        hop=count * config.hop,
        encoder=dataclasses.replace(
            encoder, sub_frames=count, width=width, dilations=(), fine_width=encoder.width,
            fine_kernel=encoder.kernel, fine_dilations=encoder.dilations,
        ),
        decoder=dataclasses.replace(
            decoder, sub_frames=count, width=width, dilations=(), fine_width=decoder.width,
            fine_kernel=decoder.kernel, fine_dilations=decoder.dilations,
        ),
    )  # fmt: skip


def can_join(ours: CodecConfig, theirs: CodecConfig) -> bool:
    """Whether `ours` has the blocks of `theirs` as sub-frames, and nothing else."""
    spectral = theirs.encoder.kind == theirs.decoder.kind == "spectral"
    if not spectral or ours.hop % theirs.hop or ours.hop == theirs.hop:
        return False
    return ours == dataclasses.replace(
        joined(theirs, ours.hop // theirs.hop), quantizer=ours.quantizer
    )


@torch.no_grad()
def join(network: Network, trained: Network, recipe: Recipe) -> None:
    """Start `network` as `trained` with its latents joined. The codebooks start afresh.

    Args:
        network: of a configuration that `can_join` the other's.
        recipe: whose speech the principal components are of; `quantizer.dim` of them are kept.
    """
    encoder, decoder = network.encoder, network.decoder
    assert isinstance(encoder, SpectralEncoder)
    assert isinstance(decoder, SpectralDecoder)
    assert isinstance(trained.encoder, SpectralEncoder)
    assert isinstance(trained.decoder, SpectralDecoder)
    count = network.config.hop // trained.config.hop
    latents = sample_latents(trained, recipe, count)
    basis = principal_components(latents, network.config.quantizer.dim)

    encoder.input.load_state_dict(trained.encoder.input.state_dict())
    encoder.output.weight.copy_(basis.t())
    encoder.output.bias.zero_()
    for new, old in zip(encoder.blocks.parts, trained.encoder.blocks.parts, strict=False):
        new.load_state_dict(old.state_dict())
    _side_by_side(_module(encoder.blocks.parts[-1], Join).linear, trained.encoder.output, count)

    decoder.input.weight.copy_(basis)
    decoder.input.bias.zero_()
    _side_by_side(_module(decoder.blocks.parts[0], Split).linear, trained.decoder.input, count)
    for new, old in zip(decoder.blocks.parts[1:], trained.decoder.blocks.parts, strict=True):
        new.load_state_dict(old.state_dict())
    decoder.head.load_state_dict(trained.decoder.head.state_dict())


def sample_latents(trained: Network, recipe: Recipe, count: int) -> Tensor:
    """Join the latents of random training speech: [n, count * dim]."""
    c, data = recipe.codec, recipe.data
    crops = Crops(data, c.sample_rate, c.hop, recipe.seed, c.channels)
    found: list[Tensor] = []
    while sum(map(len, found)) < recipe.quantization.start_latents:
        latents = trained.encoder(crops[len(found)].input).transpose(1, 2)
        found.append(latents.reshape(-1, count * latents.shape[2]))
    return torch.cat(found)


def principal_components(x: Tensor, count: int) -> Tensor:
    """Find `count` directions of largest variance: [n, dim] -> [dim, count], orthonormal."""
    vectors: Tensor = torch.linalg.eigh(torch.cov(x.t())).eigenvectors
    return vectors.flip(1)[:, :count]


def _side_by_side(joint: nn.Linear, single: nn.Linear, count: int) -> None:
    """Make `joint` apply `single` to each of `count` parts of its input."""
    joint.weight.copy_(torch.kron(torch.eye(count), single.weight))
    joint.bias.copy_(single.bias.repeat(count))


def _module(block: nn.Module, kind: type[Join] | type[Split]) -> Join | Split:
    """Give the map inside a pointwise block."""
    assert isinstance(block, Pointwise)
    inner = block.module
    assert isinstance(inner, kind)
    return inner
