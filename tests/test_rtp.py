"""RTP and RTCP packets, sequence numbers, silence, control: the parts of a call."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiodec.errors import FormatError
from audiodec.rtp.control import Controller
from audiodec.rtp.packet import RtpPacket, is_rtcp, unwrap
from audiodec.rtp.rtcp import Report, middle
from audiodec.rtp.sequence import Sequence
from audiodec.rtp.silence import ComfortNoise, SilenceDetector, describe, described, level
from tests.call_tools import BITRATES, PERIOD, SIZE, OneWay


@given(
    st.integers(0, 127), st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1), st.binary(max_size=1300), st.booleans(),
)  # fmt: skip
def test_rtp_packets_round_trip(
    kind: int, sequence: int, timestamp: int, ssrc: int, payload: bytes, marker: bool
) -> None:
    packet = RtpPacket(kind, sequence, timestamp, ssrc, payload, marker)
    assert RtpPacket.parse(packet.to_bytes()) == packet


def test_optional_parts_of_rtp_are_skipped_and_must_add_up() -> None:
    plain = RtpPacket(97, 1, 2, 3, b"speech")
    head = bytearray(plain.to_bytes()[:12])
    head[0] = 0x80 | 0x20 | 0x10 | 2  # padding, extension, two contributing sources
    extension = b"\xbe\xde\x00\x01abcd"
    whole = bytes(head) + bytes(8) + extension + b"speech" + b"\0\0\x03"
    assert RtpPacket.parse(whole) == plain
    for cut in range(len(whole) - 9):
        with pytest.raises(FormatError):
            RtpPacket.parse(whole[:cut] + b"\xff")
    for wrong in (b"", plain.to_bytes()[:11], b"\x40" + plain.to_bytes()[1:], bytes(1401)):
        with pytest.raises(FormatError):
            RtpPacket.parse(wrong)


@pytest.mark.parametrize("burst", [None, 0.0, 2.5])
def test_aiortc_reads_our_packets(burst: float | None) -> None:
    rtp = pytest.importorskip("aiortc.rtp")
    parsed = rtp.RtpPacket.parse(RtpPacket(97, 65_535, 2**32 - 1, 5, b"speech", True).to_bytes())
    assert (parsed.sequence_number, parsed.timestamp, parsed.ssrc) == (65_535, 2**32 - 1, 5)
    assert (parsed.payload_type, parsed.marker, parsed.payload) == (97, 1, b"speech")
    report = Report(5, 12.5, 1, 2, 3, 6, 0.25, -4, 70_000, 0.02, 9, 0.5, burst)
    assert Report.parse(report.to_bytes(48_000), 48_000).burst == burst
    if burst is not None:
        return  # a profile's own extension, which aiortc does not know
    (seen,) = rtp.RtcpPacket.parse(report.to_bytes(48_000))
    (block,) = seen.reports
    assert (seen.ssrc, block.ssrc, block.fraction_lost, block.packets_lost) == (5, 6, 64, -4)
    assert (block.highest_sequence, block.jitter, block.lsr, block.dlsr) == (70_000, 960, 9, 32768)
    for last in (Report(5, 12.5, 1, 2, 3, ended=True), Report(5, 12.5, 1, 2, 3, hung_up=True)):
        seen, bye = rtp.RtcpPacket.parse(last.to_bytes(48_000))
        assert (seen.reports, seen.sender_info.packet_count, bye.sources) == ([], 2, [5])


@given(st.integers(0, 2**40), st.integers(-(2**31) + 1, 2**31 - 1))
def test_numbers_are_unwrapped_to_the_nearest(near: int, step: int) -> None:
    assert unwrap((near + step) % 2**32, near, 32) == near + step


def test_reports_round_trip_and_measure_the_way() -> None:
    report = Report(1, 100.0, 5, 6, 7, 2, 0.5, -3, 1 << 17, 0.01, middle(99.0), 0.75)
    data = report.to_bytes(48_000)
    assert is_rtcp(data)
    assert Report.parse(data, 48_000) == report
    assert report.round_trip(100.0) == pytest.approx(0.25, abs=1e-4)
    assert Report(1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0).round_trip(9.0) is None
    late = Report(1, 0, 0, 0, 0, 2, 0, 0, 0, 0, middle(65_535.9), 0.0)
    assert late.round_trip(65_536.1) == pytest.approx(0.2, abs=1e-3)  # the 16 bits wrap
    goodbye = Report(1, 0, 0, 0, 0, ended=True).to_bytes(48_000)[28:]
    foreign = Report(2, 0, 0, 0, 0, ended=True).to_bytes(48_000)[28:]
    assert Report.parse(data + goodbye, 48_000) == replace(report, ended=True)
    wrongs = (b"", data[:-1], data + b"\0", b"\x82" + data[1:], b"\x80" + data[1:], goodbye,
              data + data, data + foreign, data + goodbye + goodbye)  # fmt: skip
    for wrong in wrongs:
        with pytest.raises(FormatError):
            Report.parse(wrong, 48_000)


@given(st.integers(0, 2**32 - 1), st.booleans(), st.booleans(), st.integers(0, 2**32 - 1))
def test_goodbyes_round_trip_with_the_last_count(
    packets: int, hung_up: bool, ended: bool, heard: int
) -> None:
    report = Report(
        1, 7.5, 2, packets, 4, heard=heard, highest=70_000 if heard else 0,
        ended=ended or hung_up, hung_up=hung_up,
    )  # fmt: skip
    assert Report.parse(report.to_bytes(48_000), 48_000) == report


def test_losses_are_counted_once_settled() -> None:
    sequence = Sequence()
    order = [n for n in range(65_000, 65_800) if n % 4]
    order[10], order[14] = order[14], order[10]  # overtaken, not lost
    assert all(sequence.receive(n % 65_536, 0.0) for n in order)
    assert sequence.interval() == pytest.approx(0.25, abs=0.01)
    assert sequence.burst == 1
    assert (sequence.interval(), sequence.burst) == (0.0, 0.0)
    assert not sequence.receive(order[-1] % 65_536, 0.0)
    assert not sequence.plausible(30_000)
    assert sequence.lost == pytest.approx(200, abs=1)


@pytest.mark.parametrize("first", [0, 32_767, 65_000, 65_530, 65_535])
def test_losses_count_from_the_first_packet_on(first: int) -> None:
    """Also those before the first that comes, and after the last."""
    sequence = Sequence(first)
    assert (sequence.lost, sequence.interval()) == (0, 0.0)
    assert sequence.plausible((first + 20) % 65_536)
    for n in range(20, 80):
        assert sequence.receive((first + n) % 65_536, 0.0)
    assert (sequence.received, sequence.lost) == (60, 20)
    assert sequence.interval() == pytest.approx(20 / 70)
    assert sequence.burst == 20
    assert sequence.receive((first + 5) % 65_536, 0.0)  # overtaken, so not lost
    sequence.tell(100)
    assert (sequence.received, sequence.missing, sequence.lost) == (61, 19, 39)
    sequence.restart()
    assert sequence.receive(9, 0.0)
    assert sequence.received + sequence.lost == 100


def test_redundancy_follows_losses_with_hysteresis() -> None:
    control = Controller(BITRATES, 12.0, PERIOD)
    guard = control.setting.redundancy
    assert (len(guard.distances), guard.codebooks) == (1, 1)
    for _ in range(40):
        control.update(0.0, 0.1, 0.0)
    assert control.setting.redundancy.distances == ()
    control.update(0.9, 0.1)
    first = control.setting.redundancy
    assert len(first.distances) == 2
    assert first.codebooks == 3
    settings = [control.update(0.1 if n % 2 else 0.12, 0.1) for n in range(60)]
    assert len(set(settings[20:])) == 1  # it does not swing
    falling = [control.update(0.0, 0.1).redundancy for _ in range(90)]
    copied = [len(own.distances) * own.codebooks for own in falling]
    assert copied[:8] == [copied[0]] * 8
    assert copied[-1] == 0
    assert copied == sorted(copied, reverse=True)
    assert control.setting.bitrate == 12.0


def test_copies_reach_over_the_bursts_that_are_reported_within_a_bounded_delay() -> None:
    reach = {}
    for burst in (1.0, 2.0, 3.0, 9.0):
        control = Controller(BITRATES, 12.0, PERIOD)
        for _ in range(60):
            control.update(0.05, 0.1, burst)
        (reach[burst],) = control.setting.redundancy.distances
    assert reach == {1.0: 2, 2.0: 4, 3.0: 5, 9.0: 5}
    short = Controller(BITRATES, 12.0, 0.1)
    short.update(0.05, 0.1, 3.0)
    assert short.setting.redundancy.distances == (1,)


@pytest.mark.parametrize("most", [1.5, 3.0, 12.0])
def test_redundancy_stays_in_its_budget(most: float) -> None:
    control = Controller(BITRATES, most, PERIOD)
    for loss in np.linspace(0, 0.6, 30):
        setting = control.update(loss, 0.1, 3.0)
        own = BITRATES.index(setting.bitrate) + 1
        added = len(setting.redundancy.distances) * setting.redundancy.codebooks
        assert setting.redundancy.codebooks <= own
        assert own + added <= max(2 * BITRATES.index(most) + 2, 3)


def test_a_queue_lowers_the_bitrate_and_it_comes_back() -> None:
    control = Controller(BITRATES, 12.0, PERIOD)
    control.update(0.0, 0.05)
    for _ in range(3):
        queued = control.update(0.05, 0.4)
    assert queued.bitrate == BITRATES[1]
    assert queued.redundancy.distances == ()
    rates = [control.update(0.0, 0.05).bitrate for _ in range(100)]
    assert rates == sorted(rates)
    assert rates[-1] == 12.0


def test_a_full_link_settles_below_its_rate() -> None:
    """32 kbps with headers: copies do not fit, and the queue does not stay."""
    call = OneWay({"delay": 0.02, "rate": 24.0}, adaptive=False)
    call.sender.setting = call.controller.setting
    waits: list[float] = []

    def report() -> None:
        queue = max(0.0, call.link._free - call.clock.now)
        waits.append(queue)
        loss = call.receiver.sequence.interval()
        call.sender.setting = call.controller.update(loss, 0.04 + queue)
        call.clock.at(call.clock.now + 1, report)

    call.clock.at(1.0, report)
    call.run(120)
    assert max(waits[60:]) < 0.3
    assert np.mean(waits[60:]) < 0.1
    before = call.receiver.counts.concealed
    call.run(180)
    assert call.receiver.counts.concealed - before < 0.03 * 60 / PERIOD


def test_silence_is_told_from_speech(speech: np.ndarray) -> None:
    noise = np.random.default_rng(0).normal(0, 0.001, 10 * 48_000).astype(np.float32)
    signal = np.concatenate([noise, np.resize(speech, 5 * 48_000) + noise[: 5 * 48_000], noise])
    detector = SilenceDetector(0.02)
    silent = [
        detector(level(block)) for block in signal[: len(signal) // 960 * 960].reshape(-1, 960)
    ]
    assert np.mean(silent[50:500]) > 0.95
    assert np.mean(silent[500:750]) < 0.4
    assert np.mean(silent[800:]) > 0.95


def test_comfort_noise_has_its_level_and_no_clicks() -> None:
    noise = ComfortNoise(48_000)
    pieces = [noise(960, described(describe(-50.4))) for _ in range(100)]
    assert level(np.concatenate(pieces[1:])) == pytest.approx(-50, abs=0.5)
    assert np.abs(np.diff(np.concatenate(pieces))).max() < 0.01
    noise(960, None)
    assert noise.silent
    assert not noise(960, None).any()
    for wrong in (b"", b"\x80", bytes(33)):
        with pytest.raises(FormatError):
            described(wrong)


def test_silence_is_hardly_sent_and_sounds_alike() -> None:
    call = OneWay({"delay": 0.05, "jitter": 0.01}, dtx=True)
    heard: list[float] = []
    call.heard = lambda audio: heard.append(level(audio))
    random = np.random.default_rng(0)
    call.block = random.normal(0, 0.1, SIZE).astype(np.float32)
    call.run(5)
    call.block = random.normal(0, 0.002, SIZE).astype(np.float32)
    sent = call.sender.packets
    call.run(25)
    assert call.sender.packets - sent < 80  # of 1000
    assert np.median(heard[-250:]) == pytest.approx(20 * np.log10(0.002), abs=2)
    counts = call.receiver.counts
    assert counts.noise > 900
    assert counts.concealed < 10
    assert call.receiver.sequence.lost <= 1
    call.block = random.normal(0, 0.1, SIZE).astype(np.float32)
    played = counts.played
    call.run(30)
    assert counts.played - played > 240
    assert max(call.depths) < 0.15
