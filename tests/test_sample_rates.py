"""Sound at other rates than the model's: there and back to the sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import audiodec
from audiodec.bitstream.packet import unpack
from tests.conftest import noise


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
