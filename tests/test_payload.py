"""Payloads survive what a network does; losses are as asked; copies and concealment help."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import audiodec
from audiodec.bitstream.packet import PacketFormat, pack
from audiodec.call.network import gilbert_losses
from audiodec.errors import FormatError
from audiodec.evaluation.loss import (
    DELAY,
    Network,
    Speech,
    gilbert_pattern,
    measure,
    over_network,
    read_trace,
)
from audiodec.rtp.payload import (
    MAX_PAYLOAD,
    Form,
    Payload,
    Payloader,
    Redundancy,
    from_bytes,
    to_bytes,
)
from tests.conftest import SPEECH

FORMAT = PacketFormat(3, 8, 10, 320, 48000)


def packet(num_codebooks: int, frames: int, seed: int = 0) -> bytes:
    codes = np.random.default_rng(seed).integers(1024, size=(num_codebooks, frames))
    return pack(codes, 10)


@given(st.integers(1, 8), st.integers(1, 9), st.lists(st.integers(1, 16), max_size=3, unique=True),
       st.sampled_from(Form))  # fmt: skip
def test_payloads_round_trip(
    num_codebooks: int, frames: int, distances: list[int], form: Form
) -> None:
    payload = Payload(packet(num_codebooks, frames), {d: packet(1, frames, d) for d in distances})
    format = dataclasses.replace(FORMAT, frames=frames)
    data = to_bytes(payload, format, form)
    assert from_bytes(data, format, form) == payload
    for cut in range(len(data)):
        try:
            found = from_bytes(data[:cut], format, form)
        except FormatError:
            continue
        # Cut between copies, a compact payload is one of fewer copies.
        assert form is Form.COMPACT
        assert found.packet == payload.packet
        assert found.redundant.items() < payload.redundant.items()


def test_a_compact_payload_byte_by_byte() -> None:
    format = PacketFormat(1, 8, 10, 320, 48000)
    payload = Payload(pack(np.array([[1], [1023]]), 10), {5: pack(np.array([[3]]), 10)})
    assert to_bytes(payload, format) == bytes([2, 0x00, 0x7F, 0xF0, 0x40, 0x00, 0xC0])
    older = bytes([1, 1, 2, 0x00, 0x7F, 0xF0, 5, 1, 0x00, 0xC0])
    assert to_bytes(payload, format, Form.OLDER) == older


@pytest.mark.parametrize("form", Form)
def test_a_hundred_thousand_hostile_payloads_are_refused_or_sane(form: Form) -> None:
    source, refused = random.Random(0), 0
    good = to_bytes(Payload(packet(8, 3), {3: packet(2, 3), 9: packet(4, 3)}), FORMAT, form)
    for _ in range(50_000):
        data = bytearray(good)
        for _ in range(source.randint(1, 4)):
            data[source.randrange(len(data))] = source.randrange(256)
        hostile = bytes(data[: source.randint(0, len(data) + 3)])
        try:
            parsed = from_bytes(hostile, FORMAT, form)
        except FormatError:
            refused += 1
            continue
        assert len(parsed.packet) <= len(hostile)
        assert len(parsed.redundant) <= 3
        for piece in (parsed.packet, *parsed.redundant.values()):
            FORMAT.unpack(piece)
    assert 0 < refused < 50_000


def test_copies_are_the_leading_codebooks_of_an_earlier_packet() -> None:
    payloader = Payloader(FORMAT, Redundancy((2,), 2))
    packets = [packet(8, 3, seed) for seed in range(5)]
    payloads = [from_bytes(payloader(p), FORMAT) for p in packets]
    assert [p.packet for p in payloads] == packets
    assert [list(p.redundant) for p in payloads] == [[], [], [2], [2], [2]]
    copied = FORMAT.unpack(payloads[4].redundant[2])
    assert np.array_equal(copied, FORMAT.unpack(packets[2])[:2])


@pytest.mark.parametrize(("loss", "burst"), [(0, 1), (0.05, 1), (0.1, 3), (0.2, 3), (0.5, 8)])
def test_losses_come_at_the_asked_rate_and_length(loss: float, burst: float) -> None:
    lost = gilbert_losses(200_000, loss, burst, seed=1)
    assert lost == gilbert_losses(200_000, loss, burst, seed=1)
    assert np.mean(lost) == pytest.approx(loss, rel=0.1)
    if loss:
        runs = np.diff(np.flatnonzero(np.diff([0, *map(int, lost), 0])))[::2]
        assert runs.mean() == pytest.approx(burst / (1 - loss) if burst == 1 else burst, rel=0.1)


def test_several_copies_and_silences_between() -> None:
    payloader = Payloader(FORMAT, Redundancy((1, 3), 8))
    packets = [packet(8, 3, seed) for seed in range(6)]
    payloads = [from_bytes(payloader(p), FORMAT) for p in packets[:4]]
    assert payloads[3].redundant == {1: packets[2], 3: packets[0]}
    payloader.skip()
    assert from_bytes(payloader(packets[4]), FORMAT).redundant == {3: packets[2]}
    big = Payloader(dataclasses.replace(FORMAT, frames=100), Redundancy((1, 2, 3), 8))
    assert max(len(big(packet(8, 100, n))) for n in range(5)) <= MAX_PAYLOAD
    for wrong, codebooks in (((0,), 8), ((17,), 8), ((1, 2, 3, 4), 8), ((1,), 17), ((1,), 0)):
        with pytest.raises(ValueError, match="does not fit"):
            Redundancy(wrong, codebooks)


def test_copies_bring_lost_speech_back(codec: audiodec.Codec, speech: np.ndarray) -> None:
    long = np.concatenate([np.zeros(48_000, np.float32), speech, speech])
    clean = over_network(codec, long, 12, Network([]), False)
    whole = codec.decode(codec.encode(long), len(long))
    start = round(clean.latency[-1] * 48_000)
    np.testing.assert_allclose(
        clean.audio[start:][150_000:290_000], whole[150_000:290_000], atol=1e-5
    )
    assert clean.counts["concealed"] == 0
    lost = [n % 30 in (20, 21) for n in range(1000)]
    concealed = over_network(codec, long, 12, Network(lost), False)
    recovered = over_network(codec, long, 12, Network(lost), True)
    assert concealed.counts["concealed"] > 15
    assert recovered.counts["concealed"] < 0.2 * concealed.counts["concealed"]
    assert concealed.sent < recovered.sent < 2 * concealed.sent
    assert max(recovered.latency) < 0.5


@pytest.mark.slow
def test_bench_loss_compares_over_the_same_losses(codec: audiodec.Codec, tmp_path: Path) -> None:
    pytest.importorskip("pesq")
    pytest.importorskip("av")
    pytest.importorskip("speechmos")
    pytest.importorskip("matplotlib")
    from audiodec.evaluation.loss_plot import draw

    said = Speech.read([SPEECH, SPEECH])
    pattern = gilbert_pattern(0.1, 3, said.seconds)
    assert pattern.share == pytest.approx(np.mean(pattern.lost))
    scores = list(measure(codec, 12, said, [pattern], 0.02))
    assert [s.codec for s in scores[::2]] == [
        "10% x3 AudioDec 12",
        "10% x3 AudioDec 12 + redundancy",
        "10% x3 Opus auto 12 + FEC",
    ]
    plain, copies, opus = scores[1], scores[3], scores[5]
    assert 12 < plain.kbps < 13
    assert plain.kbps < copies.kbps < 24
    assert (copies.values["PESQ-WB"] or 0) > (plain.values["PESQ-WB"] or 5)
    assert 70 < (plain.values[DELAY] or 0) < (copies.values[DELAY] or 0) < 300
    assert opus.values[DELAY] is None
    picture = tmp_path / "loss.svg"
    draw(scores, picture)
    assert b"AudioDec 12 + redundancy" in picture.read_bytes()


def test_traces_are_read_strictly(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    path.write_text("0 1 1\n0 0 1\n")
    pattern = read_trace(path)
    assert (pattern.name, pattern.share, pattern.burst) == ("train", 0.5, 1.5)
    for wrong in ("", "012", "0,1"):
        path.write_text(wrong)
        with pytest.raises(FormatError, match=r"train\.txt must have 0 or 1"):
            read_trace(path)
    with pytest.raises(FormatError, match="cannot be read"):
        read_trace(tmp_path / "none")
