"""Frames of several sub-frames: blocks at both rates, the same promises."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

import audiodec
from audiodec.config import (
    CodecConfig,
    QuantizerConfig,
    SpectralDecoderConfig,
    SpectralEncoderConfig,
)
from audiodec.errors import ConfigError
from audiodec.export.onnx import export_model
from audiodec.nn.network import Network
from audiodec.runtime.torch import load_network
from audiodec.training.init import initialise
from audiodec.training.joining import joined
from audiodec.training.recipe import Data, Quantization, Recipe, Source

FINE = {"sub_frames": 3, "fine_width": 16, "fine_dilations": (1, 2), "width": 24, "kernel": 2}
CONFIG = CodecConfig(
    sample_rate=16000,
    hop=480,
    encoder=SpectralEncoderConfig(**FINE, dilations=(1, 2), bands=12, offset_frames=4),
    quantizer=QuantizerConfig(stages=4, codebook_size=256, dim=8),
    decoder=SpectralDecoderConfig(
        **FINE, dilations=(1, 1), bands=12, overlap=32, noise_width=500, expansion=1
    ),
)


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    network = Network(CONFIG).eval()
    torch.nn.init.normal_(network.quantizer.codebooks)
    return network


@torch.no_grad()
@given(cuts=st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_streaming_equals_offline(network: Network, cuts: list[int]) -> None:
    audio = 0.1 * torch.randn(
        2, 1, sum(cuts) * CONFIG.hop, generator=torch.Generator().manual_seed(1)
    )
    latents = network.encoder(audio)
    assert latents.shape == (2, 8, sum(cuts))
    sound = network.decoder(latents)
    assert sound.shape == audio.shape
    encoder, decoder = network.encoder.initial_state(2), network.decoder.initial_state(2)
    pieces = []
    for piece in audio.split([n * CONFIG.hop for n in cuts], dim=2):
        found, encoder = network.encoder.step(piece, encoder)
        made, decoder = network.decoder.step(found, decoder)
        pieces.append(made)
    torch.testing.assert_close(torch.cat(pieces, 2), sound, atol=1e-5, rtol=1e-4)


def test_no_frame_hears_the_future(network: Network) -> None:
    audio = 0.1 * torch.randn(1, 1, 10 * CONFIG.hop)
    changed = audio.clone()
    changed[..., 6 * CONFIG.hop :] += 0.1
    with torch.no_grad():
        a, b = network.encoder(audio), network.encoder(changed)
    assert torch.equal(a[..., :6], b[..., :6])
    assert not torch.allclose(a[..., 6], b[..., 6])


def test_exports_and_codes(network: Network, tmp_path: Path) -> None:
    export_model(network, "sub-frames", tmp_path / "model")  # compares onnxruntime with torch
    codec = audiodec.load(tmp_path / "model")
    assert codec.hop == 480
    samples = np.random.default_rng(0).normal(0, 0.1, 4 * 480 + 7).astype(np.float32)
    codes = codec.encode(samples)
    assert codes.shape == (4, 5)
    assert codec.decode(codes, len(samples)).shape == samples.shape


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_sub_frames_must_divide_the_frame(part: str) -> None:
    kind = {"encoder": SpectralEncoderConfig, "decoder": SpectralDecoderConfig}[part]
    with pytest.raises(ValueError, match=f"{part}.sub_frames 7 do not divide the hop"):
        CodecConfig(**{part: kind(sub_frames=7)})
    with pytest.raises(ValueError, match=f"{part}.fine_dilations need sub_frames above 1"):
        CodecConfig(**{part: kind(fine_dilations=(1,))})


def test_joined_latents_begin_as_the_model_they_come_from(network: Network, tmp_path: Path) -> None:
    """A codec of longer frames sounds like its model before its codebooks start."""
    torch.manual_seed(1)
    short = CodecConfig(
        sample_rate=16000,
        hop=160,
        encoder=SpectralEncoderConfig(width=16, dilations=(1, 2), bands=12),
        quantizer=QuantizerConfig(codebooks=2, codebook_size=256, dim=6),
        decoder=SpectralDecoderConfig(
            width=16, dilations=(1, 2), bands=12, overlap=32, noise_width=500, expansion=1
        ),
    )
    export_model(
        Network(short).eval(), "short", tmp_path / "short", torch.float32, for_browsers=False
    )
    sound = 0.1 * np.random.default_rng(0).standard_normal(32000)
    (tmp_path / "speech").mkdir()
    soundfile.write(tmp_path / "speech" / "noise.wav", sound, 16000)
    recipe = Recipe(
        name="joined",
        codec=dataclasses.replace(
            joined(short, 3), quantizer=QuantizerConfig(codebooks=4, codebook_size=256, dim=18)
        ),
        data=Data(sources=(Source(path=str(tmp_path / "speech")),), crop=0.3),
        init=str(tmp_path / "short"),
        quantization=Quantization(start_latents=400),
    )
    long = Network(recipe.codec).eval()
    assert initialise(long, recipe) == ["latents", "decoder"]
    trained = load_network(tmp_path / "short")
    audio = torch.from_numpy(sound[: 9 * 480]).float()[None, None]
    with torch.no_grad():
        expected = trained.decoder(trained.encoder(audio))
        torch.testing.assert_close(
            long.decoder(long.encoder(audio)), expected, atol=1e-5, rtol=1e-4
        )
    other = dataclasses.replace(recipe, codec=CONFIG)
    with pytest.raises(ConfigError, match="another sample rate, hop or channel count"):
        initialise(network, other)
