"""Many streams through one model at once: each sounds as it does alone."""

from __future__ import annotations

import numpy as np
import pytest

import audiodec
from audiodec.errors import AudioError

websockets = pytest.importorskip("websockets")
pytest.importorskip("prometheus_client")


from audiodec.bitstream.batch import pack_all, unpack_all  # noqa: E402
from audiodec.bitstream.packet import Arrived, PacketFormat  # noqa: E402
from audiodec.serve.batch import DecoderBatch, EncoderBatch  # noqa: E402
from audiodec.serve.pcm import from_pcm, to_pcm  # noqa: E402
from tests.serve_tools import noise  # noqa: E402


def test_packets_of_many_streams_are_those_of_one() -> None:
    rng = np.random.default_rng(0)
    for bits, frames in ((10, 1), (10, 3), (8, 2), (3, 3)):
        format = PacketFormat(frames, 5, bits, 320, 48000)
        codes = rng.integers(1 << bits, size=(9, 5, 4 * frames))
        num_codebooks = rng.integers(1, 6, size=9)
        packed = pack_all(codes, num_codebooks, format)
        for own, count, packets in zip(codes, num_codebooks, packed, strict=True):
            pieces = np.split(own[:count], 4, axis=1)
            assert packets == [format.pack(piece) for piece in pieces]
            for packet, piece in zip(packets, pieces, strict=True):
                assert format.codebooks_of(packet) == count
                np.testing.assert_array_equal(format.unpack(packet), piece)
        flat = [packet for packets in packed for packet in packets]
        unpacked = unpack_all(flat, format)
        for i, count in enumerate(np.repeat(num_codebooks, 4)):
            own = codes[i // 4, :, i % 4 * frames : (i % 4 + 1) * frames]
            np.testing.assert_array_equal(unpacked[i, :count], own[:count])
            assert (unpacked[i, count:] == -1).all()


@pytest.mark.parametrize("name", ["small", "codec"])
def test_streams_in_a_batch_sound_as_they_do_alone(
    name: str, speech: np.ndarray, request: pytest.FixtureRequest
) -> None:
    """Streams of different bitrates that skip ticks, lose packets and change rows' neighbours."""
    codec: audiodec.Codec = request.getfixturevalue(name)
    rng, frames, ticks, streams = np.random.default_rng(0), 2, 30, 6
    format, most = codec.config.packet_format(frames), len(codec.bitrates)
    size = format.samples
    num_codebooks = np.array([1 + i % most for i in range(streams)])
    sounds = [np.roll(speech, 9000 * i)[: ticks * size] for i in range(streams)]
    lost = rng.random((streams, ticks)) < 0.3
    lost[:, 0] = False
    alone: list[list[bytes]] = []
    heard: list[np.ndarray] = []
    for sound, count, gaps in zip(sounds, num_codebooks, lost, strict=True):
        alone.append(codec.encoder(codec.bitrates[count - 1], 1, frames).write(sound))
        decoder = codec.decoder(frames)
        pieces = zip(alone[-1], gaps, strict=True)
        heard.append(np.concatenate([decoder.decode(None if g else p) for p, g in pieces]))
    encoder, decoder = (
        kind(codec.runtime, streams + 2)  # type: ignore[arg-type]
        for kind in (EncoderBatch, DecoderBatch)
    )
    rows = rng.permutation(streams + 2)[:streams]
    packets: list[list[bytes]] = [[] for _ in range(streams)]
    output: list[list[np.ndarray]] = [[] for _ in range(streams)]
    at = np.zeros(streams, int)
    while at.min() < ticks:
        active = np.flatnonzero((at < ticks) & (rng.random(streams) < 0.8))
        if not len(active):
            continue
        count = int(min(ticks - at[active].max(), rng.integers(1, 4)))  # packets in one call
        audio = np.stack([sounds[i][at[i] * size : (at[i] + count) * size] for i in active])
        found = encoder.encode(rows[active], audio[:, None], num_codebooks[active], format)
        given = [
            [Arrived(None if lost[i, n] else alone[i][n]) for n in range(at[i], at[i] + count)]
            for i in active
        ]
        sound = decoder.decode(rows[active], given, format)
        for i, own, piece in zip(active, found, sound, strict=True):
            packets[i] += own
            output[i].append(piece[0])
        at[active] += count
    for i in range(streams):
        assert packets[i] == alone[i]
        np.testing.assert_allclose(np.concatenate(output[i]), heard[i], atol=1e-4)


def test_a_row_that_is_given_away_starts_anew(small: audiodec.Codec) -> None:
    encoder = EncoderBatch(small.runtime, 2)  # type: ignore[arg-type]
    rows, num_codebooks = np.array([0, 1]), np.array([4, 4])
    format = small.config.packet_format(1)
    sound = noise(0, 160)[None, None].repeat(2, axis=0)
    first = encoder.encode(rows, sound, num_codebooks, format)
    second = encoder.encode(rows, sound, num_codebooks, format)
    encoder.reset(rows[:1])
    third = encoder.encode(rows, sound, num_codebooks, format)
    assert first[0] == first[1] == third[0]
    assert second[0] != first[0]
    assert third[1] != first[1]


def test_pcm_there_and_back() -> None:
    samples = np.stack([noise(0, 50), noise(1, 50)])
    np.testing.assert_array_equal(from_pcm(to_pcm(samples, "f32"), "f32", 2), samples)
    np.testing.assert_allclose(from_pcm(to_pcm(samples, "s16"), "s16", 2), samples, atol=2e-5)
    assert to_pcm(np.array([[1, -1]], np.float32), "s16") == b"\xff\x7f\x00\x80"
    for data, kind in ((b"123", "s16"), (b"12345", "f32"), (b"\x00\x00\x80\x7f", "f32")):
        with pytest.raises(AudioError):
            from_pcm(data, kind, 1)
