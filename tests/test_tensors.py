"""Tensors in, tensors out; the network to train through; latents between sound and codes."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

import audiodec
from audiodec import AudioError
from tests.conftest import noise


@pytest.mark.parametrize("which", ["small", "torch_codec"])
def test_tensors_give_tensors_and_arrays_arrays(which: str, request: pytest.FixtureRequest) -> None:
    codec, audio = request.getfixturevalue(which), noise(3000)
    codes, tensor = codec.encode(audio), codec.encode(torch.from_numpy(audio))
    assert isinstance(codes, np.ndarray)
    assert isinstance(tensor, torch.Tensor)
    assert tensor.dtype == torch.int64
    assert np.array_equal(codes, tensor.numpy())
    sound, heard = codec.decode(codes, 2900), codec.decode(tensor, 2900)
    assert heard.dtype == torch.float32
    assert np.array_equal(sound, heard.numpy())
    assert codec.encoder().write(torch.from_numpy(audio)) == codec.encoder().write(audio)
    half = torch.from_numpy(audio).to(torch.bfloat16)
    assert codec.encode(half[None, None]).shape == (1, *codes.shape)
    latents = codec.latents(torch.from_numpy(audio))
    assert isinstance(codec.quantize(latents), torch.Tensor)
    assert isinstance(codec.decode_latents(codec.dequantize(tensor)), torch.Tensor)


def test_a_gradient_is_not_lost_in_silence(small: audiodec.Codec) -> None:
    audio = torch.zeros(960, requires_grad=True)
    with pytest.raises(AudioError, match=r"codec\.network.*detach"):
        small.encode(audio)
    with torch.no_grad():
        assert small.encode(audio).shape == (4, 6)


def test_the_network_is_a_module_to_train_through(torch_codec: audiodec.Codec) -> None:
    codec = copy.deepcopy(torch_codec)
    network = codec.network
    assert isinstance(network, torch.nn.Module)
    audio = noise(960)
    latents = network.encoder(torch.from_numpy(audio)[None, None])
    centred = (latents[0] - network.quantizer.mean[:, None]).detach().numpy()
    np.testing.assert_allclose(codec.latents(audio), centred, atol=1e-5)
    codes = network.quantizer.encode(latents)
    assert np.array_equal(codes[0].numpy(), codec.encode(audio))
    sound = network.decoder(network.quantizer.decode(codes))
    sound.square().mean().backward()
    assert all(p.grad is not None for p in network.decoder.parameters())
    np.testing.assert_allclose(sound[0, 0].detach(), codec.decode(codec.encode(audio)), atol=1e-5)
    with torch.no_grad():
        for parameter in network.decoder.parameters():
            parameter.zero_()
    assert not np.array_equal(codec.decode(codes[0].numpy()), sound[0, 0].detach())


def test_without_torch_there_is_no_network(small: audiodec.Codec) -> None:
    assert not hasattr(small, "network")
    with pytest.raises(AttributeError, match="runtime='torch'"):
        _ = small.network


@pytest.mark.parametrize("width", [2, 4, 8])
def test_both_runtimes_search_alike(
    small: audiodec.Codec, torch_codec: audiodec.Codec, width: int
) -> None:
    latents = small.latents(noise(200 * small.hop))
    ours = small.quantize(latents, beam_width=width)
    theirs = torch_codec.quantize(latents, beam_width=width)
    assert np.mean(ours != theirs) < 0.01  # near ties


# Latents.


def test_latents_lead_to_the_same_codes_and_sound(small: audiodec.Codec) -> None:
    audio = noise(2, 1, 3000)
    latents = small.latents(audio)
    assert latents.shape == (2, small.config.quantizer.dim, 19)
    assert small.latents(audio[0, 0]).shape == latents.shape[1:]
    for arguments in ({}, {"num_codebooks": 2}, {"beam_width": 4}, {"bitrate": 2.4}):
        codes = small.encode(audio, **arguments)
        assert np.mean(small.quantize(latents, **arguments) != codes) < 0.01
    codes = small.encode(audio)
    quantized = small.dequantize(codes)
    assert quantized.shape == latents.shape
    assert np.mean((quantized - latents) ** 2) < np.mean(latents**2)
    np.testing.assert_allclose(
        small.decode_latents(quantized, 2900), small.decode(codes, 2900), atol=1e-6
    )
    same = small.decode_latents(quantized, 4350, sample_rate=24000)
    np.testing.assert_allclose(same, small.decode(codes, 4350, sample_rate=24000), atol=1e-6)


@pytest.mark.parametrize(
    ("latents", "words"),
    [
        (noise(7, 5), r"\[8, frames\]"),
        (noise(8), r"\[8, frames\]"),
        (np.zeros((8, 5), np.int64), "floats"),
        (np.full((8, 5), np.nan), "finite"),
        (noise(0, 8, 5), r"\[0, 8, 5\]"),
    ],
)
def test_latents_that_are_none(small: audiodec.Codec, latents: np.ndarray, words: str) -> None:
    with pytest.raises(AudioError, match=words):
        small.quantize(latents)
    with pytest.raises(AudioError, match=words):
        small.decode_latents(latents)
