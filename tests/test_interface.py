"""The Python interface as a stranger uses it: what is taken, what is refused, and how."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

import audiodec
from audiodec import AudioError, ConfigError, FormatError
from audiodec.bitstream.packet import unpack
from audiodec.config import (
    CodecConfig,
    QuantizerConfig,
    SeanetDecoderConfig,
    SeanetEncoderConfig,
    to_data,
)
from audiodec.nn.network import Network
from audiodec.pretrained import BUNDLED, DECODER, ENCODER, INFO, WEIGHTS
from tests.conftest import SPEECH

BINAURAL = CodecConfig(
    sample_rate=16000,
    hop=20,
    channels=2,
    encoder=SeanetEncoderConfig(kind="seanet", channels=4, ratios=(2, 4), strides=(4, 5)),
    quantizer=QuantizerConfig(codebooks=2, codebook_size=16, dim=6),
    decoder=SeanetDecoderConfig(kind="seanet", channels=4, ratios=(4, 2), strides=(5, 4)),
)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, shape).astype(np.float32)


@pytest.fixture(scope="module")
def torch_codec(small_folder: Path) -> audiodec.Codec:
    return audiodec.load(small_folder, runtime="torch")


@pytest.fixture(scope="module")
def binaural(tmp_path_factory: pytest.TempPathFactory) -> audiodec.Codec:
    """A model that codes two channels together, for torch: its graphs are not there."""
    torch.manual_seed(0)
    network, folder = Network(BINAURAL), tmp_path_factory.mktemp("binaural")
    torch.nn.init.normal_(network.quantizer.codebooks)
    save_file(network.state_dict(), folder / WEIGHTS)
    for name in (ENCODER, DECODER):
        (folder / name).write_bytes(b"")
    hashes = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in (WEIGHTS, ENCODER, DECODER)
    }
    info = {"id": "binaural", "codec": to_data(BINAURAL), "files": hashes}
    (folder / INFO).write_text(json.dumps(info))
    return audiodec.load(folder, runtime="torch")


# Shapes: one rule, and what breaks it is told the cure.


def test_a_signal_has_one_dimension_and_a_batch_three(small: audiodec.Codec) -> None:
    signal = noise(1000)
    codes = small.encode(signal)
    assert codes.shape == (4, 7)
    assert small.decode(codes, 1000).shape == (1000,)
    batch = np.stack([signal, noise(1000, seed=1)])[:, None]
    coded = small.encode(batch)
    assert coded.shape == (2, 4, 7)
    assert np.array_equal(coded[0], codes)
    decoded = small.decode(coded, 1000)
    assert decoded.shape == (2, 1, 1000)
    np.testing.assert_allclose(decoded[0, 0], small.decode(codes, 1000), atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "cure"),
    [
        ((960, 2), "samples.mean(1)"),
        ((960, 2), "samples.T[:, None]"),
        ((2, 960), "samples.mean(0)"),
        ((2, 960), "samples[:, None]"),
        ((1, 960), "samples[0]"),
        ((960, 1), "samples[:, 0]"),
        ((3, 2, 960), "samples.mean(1)[:, None]"),
    ],
)
def test_ambiguous_shapes_are_refused_with_a_cure_that_works(
    small: audiodec.Codec, shape: tuple[int, ...], cure: str
) -> None:
    samples = noise(*shape)
    with pytest.raises(AudioError) as refused:
        small.encode(samples)
    assert str(list(shape)) in str(refused.value)
    assert cure in str(refused.value)
    for wrong in (samples, torch.from_numpy(samples)):
        assert small.encode(eval(cure, {"samples": wrong})).shape[-2:] == (4, 6)


@pytest.mark.parametrize("samples", [np.float32(0.1), noise(2, 1, 1, 960), noise(2, 960, 1)])
def test_other_shapes_are_refused(small: audiodec.Codec, samples: Any) -> None:
    with pytest.raises(AudioError, match=r"a signal is \[samples\], a batch \[batch, 1, samples\]"):
        small.encode(samples)


def test_models_of_two_channels_follow_the_same_rule(binaural: audiodec.Codec) -> None:
    signal = noise(2, 500)
    codes = binaural.encode(signal)
    assert binaural.decode(codes, 500).shape == (2, 500)
    assert binaural.decode(binaural.encode(signal[None]), 500).shape == (1, 2, 500)
    with pytest.raises(AudioError, match=r"samples\.T"):
        binaural.encode(signal.T)
    for wrong in (signal[0], noise(3, 500), noise(2, 3, 500)):
        with pytest.raises(AudioError, match=r"\[2, samples\]"):
            binaural.encode(wrong)


# Values: a wrong scale is no sound.


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.zeros(960, np.int16), "int16.*divide them by 32768"),
        (np.zeros(960, np.int32), "int32.*divide them by 2147483648"),
        (np.zeros(960, np.uint8), "uint8"),
        (np.zeros(960, bool), "bool"),
        (np.zeros(960, complex), "complex"),
        (np.array(["a", "b"]), "floats"),
        ([[0.1], [0.1, 0.2]], "no array"),
        (None, "floats|samples are"),
        (np.full(960, 3000.0), "peak at 3000.*divide 16-bit values by 32768"),
        (np.array([0.0, -10.5]), "peak at 10.5"),
        (np.array([np.nan]), "finite"),
        (np.array([0, -np.inf]), "finite"),
        (np.array([1e300]), "finite"),
        (np.zeros((0, 1, 960), np.float32), "batch is empty"),
    ],
)
def test_values_that_are_no_sound_are_refused(
    small: audiodec.Codec, samples: Any, words: str
) -> None:
    with pytest.raises(AudioError, match=words):
        small.encode(samples)
    if isinstance(samples, np.ndarray) and samples.ndim == 1:
        encoder = small.encoder()
        with pytest.raises(AudioError, match=words):
            encoder.write(samples)


def test_a_refused_piece_leaves_the_stream_as_it_was(small: audiodec.Codec) -> None:
    audio, encoder = noise(1000), small.encoder()
    packets = encoder.write(audio[:500])
    for wrong in (np.zeros(10, np.int16), np.full(10, 99.0), noise(2, 10)):
        with pytest.raises(AudioError):
            encoder.write(wrong)
    packets += encoder.write(audio[500:]) + encoder.drain()
    other = small.encoder()
    assert packets == other.write(audio) + other.drain()


@pytest.mark.filterwarnings("error")
def test_what_will_be_clipped_is_warned_of(small: audiodec.Codec) -> None:
    small.encode(np.full(960, 1.5, np.float32))  # as lossy formats overshoot
    with pytest.warns(UserWarning, match=r"peak at 5.*clipped") as warned:
        small.encode(np.full(960, 5, np.float32))
    assert warned[0].filename == __file__


def test_floats_of_other_sizes_and_lists_are_taken(small: audiodec.Codec) -> None:
    audio = noise(960).astype(np.float16)
    expected = small.encode(audio.astype(np.float32))
    assert np.array_equal(small.encode(audio), expected)
    assert np.array_equal(small.encode(audio.astype(np.float64)), expected)
    assert np.array_equal(small.encode(audio.tolist()), expected)


# Arguments.


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"bitrate": 7}, r"bitrate 7 .*choose 0\.8, 1\.6, 2\.4, 3\.2"),
        ({"bitrate": "3.2"}, "bitrate .*'3.2'"),
        ({"bitrate": True}, "bitrate .*True"),
        ({"bitrate": float("nan")}, "bitrate .*nan"),
        ({"bitrate": [3.2]}, "bitrate"),
        ({"num_codebooks": 5}, "num_codebooks .*1 to 4, not 5"),
        ({"num_codebooks": 0}, "num_codebooks"),
        ({"num_codebooks": 2.0}, "num_codebooks"),
        ({"num_codebooks": True}, "num_codebooks"),
        ({"bitrate": 3.2, "num_codebooks": 2}, "one of the two"),
        ({"beam_width": 0}, "beam_width .*1 to 64, not 0"),
        ({"beam_width": 65}, "beam_width"),
        ({"beam_width": "4"}, "beam_width"),
        ({"beam_width": True}, "beam_width"),
        ({"sample_rate": 0}, "sample_rate"),
        ({"sample_rate": 44100.5}, "sample_rate"),
        ({"sample_rate": "44100"}, "sample_rate"),
        ({"sample_rate": float("nan")}, "sample_rate"),
        ({"sample_rate": 10**9}, "sample_rate .*768000"),
    ],
)
def test_arguments_out_of_range_are_named(
    small: audiodec.Codec, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        small.encode(noise(960), **arguments)
    with pytest.raises(ConfigError, match=words):
        small.encoder(**arguments)


def test_number_of_codebooks_is_another_way_to_say_bitrate(small: audiodec.Codec) -> None:
    audio = noise(960)
    codes = small.encode(audio, num_codebooks=np.int64(2))
    assert np.array_equal(codes, small.encode(audio, bitrate=small.bitrates[1]))
    assert np.array_equal(codes, small.encode(audio, bitrate=1.6, num_codebooks=2))
    encoder = small.encoder(num_codebooks=2)
    assert (encoder.bitrate, encoder.num_codebooks) == (small.bitrates[1], 2)
    encoder.num_codebooks = 3
    assert encoder.bitrate == small.bitrates[2]


@pytest.mark.parametrize("frames", [0, 1001, 1.5, True, "1"])
def test_frames_per_packet_out_of_range(small: audiodec.Codec, frames: Any) -> None:
    with pytest.raises(ConfigError, match="frames_per_packet"):
        small.encoder(frames_per_packet=frames)
    with pytest.raises(ConfigError, match="frames_per_packet"):
        small.decoder(frames)


@pytest.mark.parametrize("length", [-1, 1.5, "7", True])
def test_lengths_that_are_none(small: audiodec.Codec, length: Any) -> None:
    with pytest.raises(ConfigError, match="length"):
        small.decode(np.zeros((4, 2), np.int64), length)


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        (np.zeros((4, 2)), "integers, not float64"),
        (np.zeros((4, 2), bool), "integers, not bool"),
        (np.zeros(4, np.int64), r"\[codebooks, frames\]"),
        (np.zeros((5, 2), np.int64), "1 to 4 codebooks"),
        (np.zeros((0, 2), np.int64), "1 to 4 codebooks"),
        (np.zeros((0, 4, 2), np.int64), "batch is empty"),
        (np.full((4, 2), -1), r"0\.\.255"),
        (np.full((4, 2), 256), r"0\.\.255"),
    ],
)
def test_codes_that_are_none(small: audiodec.Codec, codes: np.ndarray, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        small.decode(codes)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"runtime": "ort"}, "'onnx' or 'torch', not 'ort'"),
        ({"runtime": None}, "'onnx' or 'torch'"),
        ({"device": "cpu"}, "runtime='torch'"),
        ({"runtime": "torch", "device": "nonsense"}, "device 'nonsense' cannot be used"),
        ({"threads": 0}, "threads"),
        ({"threads": "2"}, "threads"),
        ({"model": 7}, "model must be"),
        ({"model": "speech-48k", "encoder": "speech-48k", "decoder": "speech-48k"}, "model is not"),
    ],
)
def test_loading_refuses_what_it_does_not_offer(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        audiodec.load(**arguments)


@pytest.mark.optional
@pytest.mark.skipif(torch.cuda.is_available(), reason="here a GPU can be used")
def test_a_device_that_is_not_there_is_told(small_folder: Path) -> None:
    with pytest.raises(ConfigError, match="'cuda' cannot be used"):
        audiodec.load(small_folder, runtime="torch", device="cuda")


# Sample rates.


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 48000, 192000])
def test_any_rate_goes_there_and_back_to_the_sample(small: audiodec.Codec, rate: int) -> None:
    for length in (0, 1, 999, 5000):
        codes = small.encode(noise(length), sample_rate=rate)
        assert len(small.decode(codes, length, sample_rate=rate)) == length
    batch = noise(2, 1, 3000)
    decoded = small.decode(small.encode(batch, sample_rate=rate), 3000, sample_rate=rate)
    assert decoded.shape == batch.shape


def test_the_models_own_rate_changes_nothing(small: audiodec.Codec) -> None:
    audio = noise(3000)
    codes = small.encode(audio)
    assert np.array_equal(codes, small.encode(audio, sample_rate=16000.0))
    assert np.array_equal(small.decode(codes), small.decode(codes, sample_rate=16000))


def test_resampled_speech_is_the_same_speech(codec: audiodec.Codec, speech: np.ndarray) -> None:
    """Coded at 48 kHz, and given at 24 kHz: the pitch stays, which it would not untold."""
    import soxr

    half = soxr.resample(speech, 48000, 24000)
    decoded = codec.decode(codec.encode(half, sample_rate=24000), len(half), sample_rate=24000)
    whole = soxr.resample(codec.decode(codec.encode(speech), len(speech)), 48000, 24000)
    spectra = [np.abs(np.fft.rfft(x[: len(half)])) for x in (decoded, whole, half)]
    assert np.corrcoef(spectra[0], spectra[1])[0, 1] > 0.9
    assert np.corrcoef(spectra[0], spectra[2])[0, 1] > 0.8


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 1500), min_size=1, max_size=8),
    st.sampled_from([8000, 16000, 22050, 44100, 96000]),
    st.integers(1, 4),
)
def test_resampled_streams_equal_whole_signals(
    small: audiodec.Codec, chunks: list[int], rate: int, per_packet: int
) -> None:
    audio, start = noise(sum(chunks)), 0
    encoder = small.encoder(frames_per_packet=per_packet, sample_rate=rate)
    decoder, packets = small.decoder(per_packet, sample_rate=rate), []
    for size in chunks:
        packets += encoder.write(audio[start : start + size])
        start += size
    packets += encoder.drain()
    streamed = np.concatenate([*(decoder.decode(packet) for packet in packets), decoder.drain()])
    bits, none = small.config.quantizer.code_bits, np.zeros((4, 0), np.int64)
    sent = np.concatenate([none, *(unpack(p, per_packet, 4, bits) for p in packets)], axis=1)
    codes = small.encode(audio, sample_rate=rate)
    # The last packet is filled up with frames of silence, which are part of what is decoded.
    assert np.array_equal(sent[:, : codes.shape[1]], codes)
    np.testing.assert_allclose(streamed, small.decode(sent, sample_rate=rate), atol=1e-5)
    assert len(small.decode(codes, len(audio), sample_rate=rate)) == len(audio) <= len(streamed)


def test_a_drained_decoder_begins_anew(small: audiodec.Codec) -> None:
    packets = small.encoder().write(noise(1600))
    decoder = small.decoder(sample_rate=44100)

    def sound() -> np.ndarray:
        return np.concatenate([*map(decoder.decode, packets), decoder.drain()])

    assert len(sound()) == 4410
    assert np.array_equal(sound(), sound())
    assert small.decoder().drain().shape == (0,)


# Tensors.


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


# Copies, threads, words.


@pytest.mark.parametrize("which", ["small", "torch_codec"])
@pytest.mark.parametrize("way", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_go_on_by_themselves(
    which: str, way: Callable[[Any], Any], request: pytest.FixtureRequest
) -> None:
    codec, audio = request.getfixturevalue(which), noise(3000)
    other = way(codec)
    assert np.array_equal(other.encode(audio), codec.encode(audio))
    encoder, decoder = codec.encoder(1.6, frames_per_packet=2), codec.decoder(2)
    packets = encoder.write(audio[:1000])
    heard = [decoder.decode(packet) for packet in packets]
    encoder_copy, decoder_copy = way((encoder, decoder))
    rest = encoder.write(audio[1000:]) + encoder.drain()
    assert rest == encoder_copy.write(audio[1000:]) + encoder_copy.drain()
    heard = [decoder.decode(packet) for packet in rest]
    np.testing.assert_allclose([decoder_copy.decode(p) for p in rest], heard, atol=1e-6)


def test_a_pickled_codec_reloads_its_model_and_knows_it(small_folder: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "model"
    shutil.copytree(small_folder, folder)
    data = pickle.dumps(audiodec.load(folder))
    assert len(data) < 5000
    info = (folder / "model.json").read_text()
    (folder / "model.json").write_text(info.replace('"small"', '"other"'))
    with pytest.raises(audiodec.ModelError, match="not the model"):
        pickle.loads(data)
    shutil.rmtree(folder)
    with pytest.raises(audiodec.ModelError, match="no model"):
        pickle.loads(data)


def test_a_pickled_codec_of_the_package_is_no_path(codec: audiodec.Codec) -> None:
    assert str(BUNDLED).encode() not in pickle.dumps(codec)


def test_a_resampled_stream_says_that_it_cannot_be_copied(small: audiodec.Codec) -> None:
    encoder = small.encoder(sample_rate=44100)
    copy.deepcopy(encoder).write(noise(10))
    encoder.write(noise(10))
    with pytest.raises(AudioError, match="cannot be copied"):
        copy.deepcopy(encoder)
    encoder.reset()
    pickle.dumps(encoder)


@pytest.mark.parametrize("which", ["small", "torch_codec"])
def test_threads_share_a_codec(which: str, request: pytest.FixtureRequest) -> None:
    codec = request.getfixturevalue(which)
    signals = [noise(3000, seed=seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        coded = list(pool.map(codec.encode, signals))
    assert all(np.array_equal(c, codec.encode(s)) for c, s in zip(coded, signals, strict=True))


def test_what_they_are_can_be_read(small: audiodec.Codec, torch_codec: audiodec.Codec) -> None:
    assert repr(small) == (
        "Codec(model='small', runtime='onnx', sample_rate=16000, channels=1, hop=160, "
        "bitrates=[0.8, 1.6, 2.4, 3.2])"
    )
    assert "runtime='torch'" in repr(torch_codec)
    assert repr(small.encoder(1.6, 4)) == (
        "Encoder(model='small', bitrate=1.6, beam_width=4, frames_per_packet=1, sample_rate=16000)"
    )
    assert repr(small.decoder(2, sample_rate=8000)) == (
        "Decoder(model='small', frames_per_packet=2, sample_rate=8000)"
    )


# Files.


def test_files_in_two_lines(tmp_path: Path, small_folder: Path, small: audiodec.Codec) -> None:
    coded = audiodec.encode_file(SPEECH, tmp_path / "a.adc", codec=small_folder, num_codebooks=3)
    decoded = audiodec.decode_file(str(tmp_path / "a.adc"), tmp_path / "a.wav", codec=small)
    assert (coded.rate, coded.channels) == (decoded.rate, decoded.channels) == (48000, 1)
    assert coded.samples == decoded.samples == soundfile.info(tmp_path / "a.wav").frames
    with pytest.raises(audiodec.ModelError, match="made with model small"):
        audiodec.decode_file(tmp_path / "a.adc", tmp_path / "b.wav")
    assert not (tmp_path / "b.wav").exists()


def test_one_quality_on_the_command_line_and_in_python(tmp_path: Path, small_folder: Path) -> None:
    audiodec.encode_file(SPEECH, tmp_path / "python.adc", codec=small_folder)
    command = ["encode", str(SPEECH), str(tmp_path / "shell.adc"), "--model", str(small_folder)]
    subprocess.run([sys.executable, "-m", "audiodec", *command], check=True, capture_output=True)
    assert (tmp_path / "python.adc").read_bytes() == (tmp_path / "shell.adc").read_bytes()


@pytest.mark.parametrize("codec", [7, audiodec, SPEECH.read_bytes()])
def test_a_codec_that_is_none(codec: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="codec must be"):
        audiodec.encode_file(SPEECH, tmp_path / "a.adc", codec=codec)


# The package.


def test_types_are_told() -> None:
    assert (Path(audiodec.__file__).parent / "py.typed").is_file()


def test_every_public_name_is_there_and_explained() -> None:
    for name in audiodec.__all__:
        thing = getattr(audiodec, name)
        assert thing.__doc__, name
        public = (
            [m for m in vars(thing) if not m.startswith("_")] if isinstance(thing, type) else []
        )
        for member in public:
            assert getattr(thing, member).__doc__, f"{name}.{member}"
    assert set(audiodec.__all__) <= set(dir(audiodec))
