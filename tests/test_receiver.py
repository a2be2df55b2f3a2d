"""Whatever the network does to packets: sound in order, bounded delay, bounded memory."""

from __future__ import annotations

import itertools
import random
import tracemalloc

import numpy as np
import pytest

from audiodec.call.network import gilbert
from audiodec.rtp.control import Setting
from audiodec.rtp.packet import RtpPacket
from audiodec.rtp.payload import Redundancy
from tests.call_tools import BITRATES, FRAMES, PERIOD, RATE, SIZE, SSRC, CountingEncoder, OneWay


def in_order(played: list[int | None]) -> bool:
    """Packet numbers (modulo 1024) never go back."""
    numbers = [n for n in played if n is not None]
    return all(0 < (b - a) % 1024 < 512 for a, b in itertools.pairwise(numbers))


def test_a_perfect_network_plays_everything_once() -> None:
    call = OneWay({"delay": 0.05}).run(20)
    counts = call.receiver.counts
    played = [n for n in call.decoder.played if n is not None]
    assert played == list(range(len(played)))
    assert len(played) > 990
    assert (counts.late, counts.duplicate, counts.invalid, counts.concealed) == (0, 0, 0, 0)
    assert call.depths[-1] < 2.2 * PERIOD


def test_jitter_overtaking_and_doubles_are_evened_out() -> None:
    network = {"delay": 0.05, "jitter": 0.02, "duplicated": 0.1, "reordered": 0.05, "seed": 3}
    call = OneWay(network).run(120)
    counts = call.receiver.counts
    assert in_order(call.decoder.played)
    assert counts.duplicate == pytest.approx(600, rel=0.2)
    assert counts.concealed < 0.02 * 6000
    assert call.receiver.sequence.lost <= 5  # what is still on its way
    assert 0.005 < call.receiver.sequence.jitter < 0.03
    assert max(call.depths[10:]) < 0.15


@pytest.mark.parametrize(
    ("loss", "ppm"), [(0.0, 100), (0.0, -100), (0.01, 100), (0.05, -100), (0.1, 100), (0.2, -100)]
)
def test_five_minutes_of_losses_without_growing_delay(loss: float, ppm: float) -> None:
    network = {"delay": 0.05, "jitter": 0.02, "lost": gilbert(loss, 3, 1)}
    call = OneWay(network, adaptive=True, ppm=ppm, keep=False).run(300)
    early, late = np.mean(call.depths[60:150]), np.mean(call.depths[-60:])
    assert late < early + 0.06
    assert max(call.depths) < 0.45
    counts = call.receiver.counts
    assert counts.concealed < (0.004 + 0.2 * loss) * 15_000
    if loss:
        assert counts.recovered > 0.6 * loss * 15_000


def test_copies_fill_what_is_lost_and_only_that() -> None:
    lost = [n % 20 in (10, 11, 12) for n in range(10_000)]
    call = OneWay({"lost": lost})
    call.sender.setting = Setting(BITRATES[-1], Redundancy((3,), 2))
    call.run(60)
    counts = call.receiver.counts
    assert counts.recovered == pytest.approx(0.15 * 3000, abs=5)
    assert counts.concealed < 10
    played = [n for n in call.decoder.played if n is not None]
    assert played == [n % 1024 for n in range(len(played))]


def test_numbers_wrap_around() -> None:
    call = OneWay({"delay": 0.02, "jitter": 0.01}, sequence=65_500, timestamp=2**32 - 40 * SIZE)
    call.run(10)
    assert in_order(call.decoder.played)
    assert call.receiver.counts.played > 480
    assert call.receiver.counts.invalid == 0
    assert call.receiver.sequence.lost <= 2


@pytest.mark.parametrize("pause", [0.3, 1.0, 8.0, 40.0])
def test_a_speaker_that_stalls_is_heard_again(pause: float) -> None:
    """Its timestamps stand still, as when a laptop sleeps."""
    call = OneWay({"delay": 0.05, "jitter": 0.005}).run(20)
    call.speaking = False
    call.run(20 + pause)
    call.speaking = True
    before = call.run(22 + pause).receiver.counts.played
    assert call.run(42 + pause).receiver.counts.played - before > 970
    assert call.depths[-1] < 0.1


@pytest.mark.parametrize("outage", [0.5, 5.0, 30.0])
def test_a_network_that_fails_for_a_while_is_heard_again(outage: float) -> None:
    lost = [1000 <= n < 1000 + round(outage / PERIOD) for n in range(20_000)]
    call = OneWay({"delay": 0.05, "jitter": 0.005, "lost": lost}).run(21 + outage)
    before = call.receiver.counts.played
    assert call.run(41 + outage).receiver.counts.played - before > 970
    assert call.depths[-1] < 0.1
    assert call.receiver.sequence.lost == pytest.approx(outage / PERIOD, abs=3)


def test_a_longer_way_costs_a_gap_and_a_shorter_one_no_delay() -> None:
    call = OneWay({"delay": 0.05, "jitter": 0.005}).run(20)
    call.link._delay = 0.25
    call.run(40)
    assert call.depths[-1] < 0.1
    before = call.receiver.counts.played
    call.run(60)
    assert call.receiver.counts.played - before > 980
    call.link._delay = 0.05
    assert call.run(100).depths[-1] < 0.1


def test_another_stream_is_never_heard() -> None:
    call = OneWay({"delay": 0.01}).run(5)
    played = len(call.decoder.played)
    call.speaking = False
    (payload,) = CountingEncoder().write(np.zeros(SIZE, np.float32))
    call.run(6)
    for n in range(200):
        packet = RtpPacket(97, 300 + n, (300 + n) * SIZE, SSRC + 1, bytes([FRAMES, 0, 8]) + payload)
        call.receiver.receive(packet.to_bytes(), call.clock.now)
        call.run(6 + 0.02 * n)
    assert call.receiver.counts.foreign == 200
    assert set(call.decoder.played[played + 60 :]) == {None}


def hostile_packets(count: int, seed: int) -> itertools.chain[bytes]:
    """Random bytes; and valid packets cut, changed, repeated, of other streams and other times."""
    source, encoder = random.Random(seed), CountingEncoder()

    def make() -> bytes:
        kind = source.randrange(6)
        if kind == 0:
            return source.randbytes(source.choice((0, 1, 11, 12, 40, 300, 1400, 9000)))
        (packet,) = encoder.write(np.zeros(SIZE, np.float32))
        ssrc = SSRC if kind != 1 else source.getrandbits(32)
        sequence = source.getrandbits(16)
        timestamp = source.getrandbits(32) if kind != 2 else source.randrange(2000) * SIZE
        head = bytes([FRAMES, source.choice((0, 0, 1, 255)), 8])
        payload = head + packet + source.randbytes(source.choice((0, 0, 10)))
        if source.random() < 0.2:
            payload = source.randbytes(source.randrange(40))
        data = bytearray(
            RtpPacket(
                source.choice((97, 98, 0, 127)), sequence, timestamp, ssrc, payload
            ).to_bytes()
        )
        if kind > 3:
            data[source.randrange(len(data))] = source.randrange(256)
            del data[source.randint(1, len(data)) :]
        return bytes(data)

    return itertools.chain.from_iterable([make()] * source.randint(1, 2) for _ in range(count))


def storm(count: int) -> OneWay:
    """A call of a minute, while `count` hostile packets come."""
    call = OneWay({"delay": 0.05, "jitter": 0.01}).run(5)
    tracemalloc.start()
    for n, data in enumerate(itertools.islice(hostile_packets(count, 1), count)):
        call.receiver.receive(data, call.clock.now)
        assert len(call.receiver.buffer) <= 512
        if n % (count // 50) == 0:
            call.run(call.clock.now + 1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8_000_000
    return call


def check_after(call: OneWay) -> None:
    """The true speaker is heard again, in order and without delay."""
    call.run(call.clock.now + 30)
    call.decoder.played.clear()
    call.run(call.clock.now + 10)
    assert in_order(call.decoder.played)
    assert sum(n is not None for n in call.decoder.played) > 490
    assert call.depths[-1] < 0.5
    assert call.receiver.counts.foreign > 0
    assert call.receiver.counts.invalid > 0


def test_hostile_packets_do_no_harm() -> None:
    check_after(storm(5000))


@pytest.mark.slow
def test_a_hundred_thousand_hostile_packets_do_no_harm() -> None:
    check_after(storm(100_000))


@pytest.mark.slow
def test_a_day_of_call_in_flat_memory_without_drift() -> None:
    """The speaker's clock is 100 ppm fast; all numbers wrap."""
    network = {"delay": 0.05, "jitter": 0.02, "lost": gilbert(0.01, 3, 1)}
    call = OneWay(network, ppm=100, keep=False, sequence=65_000, timestamp=2**32 - 10_000 * SIZE)
    call.run(3600)
    tracemalloc.start()
    begin, _ = tracemalloc.get_traced_memory()
    call.run(3660)
    settled, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    early = np.mean(call.depths[600:3600])
    call.run(24 * 3600)
    tracemalloc.start()
    after, _ = tracemalloc.get_traced_memory()
    call.run(24 * 3600 + 60)
    end, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert end - after < settled - begin + 100_000
    assert np.mean(call.depths[-3000:]) == pytest.approx(early, abs=0.01)
    assert max(call.depths[60:]) < 0.25
    counts, packets = call.receiver.counts, 24 * 3600 / PERIOD
    assert call.receiver.sequence.highest > packets > 60 * 65536
    assert counts.concealed < 0.03 * packets
    assert abs(counts.merged - counts.stretched) == pytest.approx(8.64 / PERIOD, rel=0.25)
    assert RATE * 24 * 3600 + 2**32 - 10_000 * SIZE > 2**32  # the timestamp has wrapped


def test_a_slow_machine_loses_time_and_gains_no_delay() -> None:
    """The speaker's is busy for ten packet times in every twenty."""
    call = OneWay({"delay": 0.05, "jitter": 0.005}).run(20)
    usual = call.depths[-1]

    def stumble() -> None:
        if not call.speaking:
            call.sender.skip(10)
        call.speaking = not call.speaking

    for n in range(100):
        call.clock.at(20 + 0.2 * n, stumble)
    call.run(40)
    assert call.receiver.counts.late < 10
    assert call.depths[-1] < usual + 0.06
