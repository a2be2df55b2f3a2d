"""The Python interface as a stranger uses it: what is taken, what is refused, and how."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import audiodec
from audiodec import AudioError, ConfigError, FormatError
from tests.conftest import SPEECH, noise

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
        (np.zeros((0, 960), np.float32), "no sample in these"),
        (np.zeros((960, 0), np.float32), "no sample in these"),
        ("speech.wav", "audiodec.encode_file"),
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


# Files.


def test_files_in_two_lines(tmp_path: Path, small_folder: Path, small: audiodec.Codec) -> None:
    coded = audiodec.encode_file(SPEECH, tmp_path / "a.adc", codec=small_folder, num_codebooks=3)
    decoded = audiodec.decode_file(str(tmp_path / "a.adc"), tmp_path / "a.wav", codec=small)
    assert (coded.rate, coded.channels) == (decoded.rate, decoded.channels) == (48000, 1)
    assert coded.samples == decoded.samples == soundfile.info(tmp_path / "a.wav").frames
    with pytest.raises(audiodec.ModelError, match=r"a\.adc was made with model small"):
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


@pytest.mark.parametrize("path", [None, 7, b"speech.wav", np.zeros(960)])
def test_paths_that_are_none(path: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="source must be the path"):
        audiodec.encode_file(path, tmp_path / "a.adc")
    with pytest.raises(ConfigError, match="target must be the path"):
        audiodec.decode_file(tmp_path / "a.adc", path)


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
