"""Sessions: streaming equals offline, exact length, loss, errors by name, both runtimes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import audiodec
from audiodec import AudioError, ConfigError, FormatError
from audiodec.bitstream.packet import pack
from audiodec.runtime.onnx import OnnxRuntime


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


@pytest.fixture(scope="session", params=["onnx", "torch"])
def any_runtime(request: pytest.FixtureRequest, small_folder: Path) -> audiodec.Codec:
    return audiodec.load(small_folder, runtime=request.param)


@settings(max_examples=40)
@given(st.lists(st.integers(0, 700), min_size=1, max_size=8), st.integers(1, 4), st.integers(1, 4))
def test_streaming_equals_offline(
    any_runtime: audiodec.Codec, chunks: list[int], num_codebooks: int, per_packet: int
) -> None:
    codec = any_runtime
    bitrate = codec.bitrates[num_codebooks - 1]
    audio = noise(sum(chunks))
    encoder = codec.encoder(bitrate, frames_per_packet=per_packet)
    packets, start = [], 0
    for size in chunks:
        packets += encoder.write(audio[start : start + size])
        start += size
    packets += encoder.drain()
    decoder = codec.decoder(per_packet)
    streamed = [decoder.decode(packet) for packet in packets]
    offline = codec.decode(codec.encode(audio, bitrate), len(audio))
    assert len(offline) == len(audio)
    joined = np.concatenate([np.zeros(0, np.float32), *streamed])
    assert 0 <= len(joined) - len(audio) < per_packet * codec.hop
    np.testing.assert_allclose(joined[: len(audio)], offline, atol=1e-5)


def test_long_signals_are_processed_in_steps_without_a_seam(small: audiodec.Codec) -> None:
    audio = noise(600 * small.hop + 17)
    whole = small.encode(audio)
    state = small.runtime.encoder_state(1)
    padded = np.pad(audio, (0, small.hop - 17))[None, None]
    once, _ = small.runtime.encode(padded, state, 4, 1)
    assert np.mean(whole != once[0]) < 1e-3  # a tie may fall either way


def test_long_streams_decode_as_whole_signals_do(small: audiodec.Codec) -> None:
    """Beyond the length at which anything inside repeats."""
    codes = small.encode(noise(300 * small.hop))
    decoder, bits = small.decoder(), small.config.quantizer.code_bits
    packets = [pack(codes[:, i : i + 1], bits) for i in range(codes.shape[1])]
    streamed = np.concatenate([decoder.decode(packet) for packet in packets])
    np.testing.assert_allclose(streamed, small.decode(codes), atol=1e-5)


def test_batches_are_independent_signals(small: audiodec.Codec) -> None:
    signals = np.stack([noise(1000, 1), noise(1000, 2)])
    codes = small.encode(signals[:, None])
    assert codes.shape == (2, 4, 7)
    assert np.array_equal(codes[1], small.encode(signals[1]))
    both = small.decode(codes, 1000)
    np.testing.assert_allclose(both[0, 0], small.decode(codes[0], 1000), atol=1e-6)


@pytest.mark.parametrize("which", ["small_folder", "bundled"])
def test_runtimes_agree(which: str, request: pytest.FixtureRequest, speech: np.ndarray) -> None:
    folder = request.getfixturevalue(which) if which == "small_folder" else None
    onnx = audiodec.load(folder)
    torch = audiodec.load(folder, runtime="torch")
    audio = speech[: 200 * onnx.hop]
    codes = onnx.encode(audio)
    assert np.mean(codes != torch.encode(audio)) < 0.01  # near ties
    for num_codebooks in (1, len(codes)):
        a, b = onnx.decode(codes[:num_codebooks]), torch.decode(codes[:num_codebooks])
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_a_loss_is_forgotten_within_150_ms(codec: audiodec.Codec, speech: np.ndarray) -> None:
    """And not merely quiet: after its reach the decoder's output is the very same."""
    encoder = codec.encoder()
    packets = encoder.write(speech)
    clean, lossy = codec.decoder(), codec.decoder()
    lost = range(100, 103)
    reach = round(0.15 * codec.sample_rate)
    a = np.concatenate([clean.decode(p) for p in packets])
    b = np.concatenate([lossy.decode(None if i in lost else p) for i, p in enumerate(packets)])
    assert len(a) == len(b)
    end = lost.stop * codec.hop
    assert np.abs(a[:end] - b[:end]).max() > 1e-3  # it was there
    np.testing.assert_allclose(a[end + reach :], b[end + reach :], atol=1e-5)


def test_codes_decode_alike_on_another_arithmetic(
    codec: audiodec.Codec, speech: np.ndarray
) -> None:
    """Weights off by the last bits of float32: the difference stays as small, for ever."""
    import torch

    network = audiodec.load(runtime="torch")
    codes = codec.encode(np.tile(speech, 4))
    for parameter in network.network.decoder.parameters():
        parameter.data *= 1 + 1e-7 * torch.randn_like(parameter)
    difference = np.abs(codec.decode(codes) - network.decode(codes))
    quarter = len(difference) // 4
    assert difference.max() < 1e-4
    assert difference[-quarter:].max() < 3 * difference[:quarter].max() + 1e-6


def test_concealment_fades_to_silence_and_recovers(
    codec: audiodec.Codec, speech: np.ndarray
) -> None:
    decoder = codec.decoder()
    assert not decoder.decode(None).any()  # nothing received yet
    packets = codec.encoder().write(speech)
    for packet in packets[:120]:
        decoder.decode(packet)
    lost = np.concatenate([decoder.decode(None) for _ in range(30)])
    assert np.abs(lost[: codec.hop]).max() > 0
    assert not lost[-codec.hop :].any()
    assert np.isfinite(decoder.decode(packets[120])).all()


def test_bitrate_may_change_in_mid_stream(small: audiodec.Codec) -> None:
    encoder, decoder = small.encoder(), small.decoder()
    sizes = set()
    for bitrate in small.bitrates:
        encoder.bitrate = bitrate
        for packet in encoder.write(noise(2 * small.hop)):
            sizes.add(len(packet))
            assert decoder.decode(packet).shape == (small.hop,)
    assert len(sizes) == 4


def test_beam_width_lowers_the_error_at_the_same_rate(
    codec: audiodec.Codec, speech: np.ndarray
) -> None:
    # Of the latents, which is what the search looks at; the waveform's need not follow on one clip.
    runtime = codec.runtime
    assert isinstance(runtime, OnnxRuntime)
    whole = speech[None, None, : len(speech) // codec.hop * codec.hop]
    latents, _ = runtime.latents(whole, runtime.encoder_state(1))

    def error(beam_width: int) -> float:
        codes, _ = runtime.encode(whole, runtime.encoder_state(1), 8, beam_width)
        return float(np.mean((runtime.codebooks.decode(codes) - latents) ** 2))

    assert max(error(4), error(8)) < error(1)


def test_output_stays_within_full_scale(codec: audiodec.Codec) -> None:
    codes = np.random.default_rng(0).integers(1024, size=(8, 300))
    assert np.abs(codec.decode(codes)).max() <= 1


def test_silence_stays_silent(codec: audiodec.Codec) -> None:
    decoded = codec.decode(codec.encode(np.zeros(48000, np.float32)))
    assert np.sqrt(np.mean(decoded[4800:] ** 2)) < 1e-3  # -60 dBFS


def test_errors_by_name(small: audiodec.Codec) -> None:
    with pytest.raises(ConfigError, match=r"choose 0\.8"):
        small.encode(noise(100), bitrate=7)
    with pytest.raises(ConfigError, match="beam_width"):
        small.encode(noise(100), beam_width=0)
    with pytest.raises(AudioError, match="float"):
        small.encode(np.zeros(100, np.int16))
    with pytest.raises(AudioError, match="finite"):
        small.encode(np.array([np.nan], np.float32))
    with pytest.raises(AudioError, match="samples are"):
        small.encoder().write(np.zeros((2, 100), np.float32))
    with pytest.raises(FormatError, match=r"0\.\.255"):
        small.decode(np.full((4, 2), 256))
    with pytest.raises(FormatError, match="codebooks"):
        small.decode(np.zeros((5, 2), np.int64))
    with pytest.raises(FormatError, match="fewer than"):
        small.decode(np.zeros((4, 2), np.int64), length=10_000)
    with pytest.raises(FormatError):
        small.decoder().decode(b"\xff" * 99)
    with pytest.raises(audiodec.ModelError, match="no model"):
        audiodec.load("nonsense")


def test_empty_signals(small: audiodec.Codec) -> None:
    codes = small.encode(np.zeros(0, np.float32))
    assert codes.shape == (4, 0)
    assert small.decode(codes).shape == (0,)
    assert small.encoder().drain() == []


def test_a_changed_model_file_is_refused(small_folder: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(small_folder, copy)
    weights = copy / "weights.safetensors"
    data = weights.read_bytes()
    weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    for runtime in ("onnx", "torch"):
        with pytest.raises(audiodec.ModelError, match="damaged"):
            audiodec.load(copy, runtime=runtime)  # type: ignore[arg-type]
