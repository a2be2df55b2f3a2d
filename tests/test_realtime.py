"""Payloads survive what a network does; losses are as asked; copies and concealment help."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import audiodec
from audiodec.bitstream.packet import pack, unpack
from audiodec.errors import FormatError
from audiodec.evaluation.codecs import Opus
from audiodec.evaluation.loss import over_losses
from audiodec.realtime.network import gilbert_losses
from audiodec.realtime.payload import Payload, Redundancy, from_bytes, to_bytes


def packet(stages: int, frames: int, seed: int = 0) -> bytes:
    codes = np.random.default_rng(seed).integers(1024, size=(stages, frames))
    return pack(codes, 10)


@given(st.integers(1, 8), st.integers(1, 9), st.lists(st.integers(1, 255), max_size=3, unique=True))
def test_payloads_round_trip(stages: int, frames: int, distances: list[int]) -> None:
    payload = Payload(packet(stages, frames), {d: packet(1, frames, d) for d in distances})
    data = to_bytes(payload, frames, 10)
    assert from_bytes(data, frames, 10, 8) == payload
    for cut in range(len(data)):
        with pytest.raises(FormatError):
            from_bytes(data[:cut], frames, 10, 8)


def test_a_hundred_thousand_hostile_payloads_are_refused_or_sane() -> None:
    source, refused = random.Random(0), 0
    good = to_bytes(Payload(packet(8, 3), {3: packet(2, 3)}), 3, 10)
    for _ in range(100_000):
        data = bytearray(good)
        for _ in range(source.randint(1, 4)):
            data[source.randrange(len(data))] = source.randrange(256)
        hostile = bytes(data[: source.randint(0, len(data) + 3)])
        try:
            parsed = from_bytes(hostile, 3, 10, 8)
        except FormatError:
            refused += 1
            continue
        assert len(parsed.packet) <= len(hostile)
        assert len(parsed.copies) <= 3
    assert 0 < refused < 100_000


def test_copies_are_the_leading_stages_of_an_earlier_packet() -> None:
    redundancy = Redundancy(3, 10, distance=2, stages=2)
    packets = [packet(8, 3, seed) for seed in range(5)]
    payloads = [from_bytes(redundancy(p), 3, 10, 8) for p in packets]
    assert [p.packet for p in payloads] == packets
    assert [list(p.copies) for p in payloads] == [[], [], [2], [2], [2]]
    copied = unpack(payloads[4].copies[2], 3, 2, 10)
    assert np.array_equal(copied, unpack(packets[2], 3, 8, 10)[:2])


@pytest.mark.parametrize(("loss", "burst"), [(0, 1), (0.05, 1), (0.1, 3), (0.2, 3), (0.5, 8)])
def test_losses_come_at_the_asked_rate_and_length(loss: float, burst: float) -> None:
    lost = gilbert_losses(200_000, loss, burst, seed=1)
    assert lost == gilbert_losses(200_000, loss, burst, seed=1)
    assert np.mean(lost) == pytest.approx(loss, rel=0.1)
    if loss:
        runs = np.diff(np.flatnonzero(np.diff([0, *map(int, lost), 0])))[::2]
        assert runs.mean() == pytest.approx(burst / (1 - loss) if burst == 1 else burst, rel=0.1)


def test_copies_bring_lost_speech_back(codec: audiodec.Codec, speech: np.ndarray) -> None:
    clean, _ = over_losses(codec, speech, 12, [], 0)
    np.testing.assert_allclose(clean, codec.decode(codec.encode(speech), len(speech)), atol=1e-5)
    lost = [40 <= n < 43 or 80 <= n < 82 for n in range(200)]
    concealed, plain = over_losses(codec, speech, 12, lost, 0)
    recovered, more = over_losses(codec, speech, 12, lost, 4)
    assert plain < more < 1.7 * plain

    def error(audio: np.ndarray) -> float:
        return float(np.square(audio - clean).sum())

    assert error(recovered) < 0.5 * error(concealed)


def test_opus_recovers_with_its_own_means(speech: np.ndarray) -> None:
    lost = [n % 10 == 5 for n in range(200)]
    clean = Opus(24, False).run(speech).audio

    def error(expected: float) -> float:
        return float(
            np.square(Opus(24, False).over_losses(speech, lost, expected)[0] - clean).sum()
        )

    assert np.square(clean - speech).sum() < error(0.0)
    assert np.isfinite(error(0.1))
