"""`recipes/average.py`: a decoder between two, at the level it should have."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch

from audiodec.config import CodecConfig, HifiganDecoderConfig
from audiodec.errors import ModelError
from audiodec.nn.network import Network
from tests.conftest import SMALL

RECIPE = runpy.run_path(str(Path(__file__).parents[1] / "recipes" / "average.py"))


def test_averaging_moves_the_decoder_alone() -> None:
    average = RECIPE["average"]
    first, second = Network(CodecConfig()), Network(CodecConfig())
    with pytest.raises(ModelError, match=r"differ in encoder.*only decoders"):
        average(first, second, 0.25)
    second.encoder.load_state_dict(first.encoder.state_dict())
    second.quantizer.load_state_dict(first.quantizer.state_dict())
    a, b = (codec.decoder.head.shape.weight.clone() for codec in (first, second))
    assert not torch.equal(a, b)
    between = average(first, second, 0.25).decoder.head.shape.weight
    assert torch.allclose(between, 0.75 * a + 0.25 * b, atol=1e-6)


def test_gain_is_exact_in_every_band(small_network: Network) -> None:
    latents = torch.randn(1, SMALL.quantizer.dim, 50)
    with torch.no_grad():
        before = small_network.decoder(latents)
        RECIPE["amplify"](small_network, -6.0)
        after = small_network.decoder(latents)
    assert before.abs().max() > 0
    assert torch.allclose(after, before * 10 ** (-6 / 20), atol=1e-6)


def test_gain_needs_bands() -> None:
    decoder = HifiganDecoderConfig(kind="hifigan", channels=16, strides=(5, 4, 16))
    with pytest.raises(ModelError, match="sound of bands"):
        RECIPE["amplify"](Network(CodecConfig(decoder=decoder)), -1.0)
