"""Microphone to loudspeaker: rings, drifting clocks, exact latency, pauses, files, devices."""

from __future__ import annotations

import sys
import threading
from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import audiodec
from audiodec.errors import AudioError, ConfigError
from audiodec.evaluation.mouth_to_ear import lag, measure
from audiodec.sound.capture import Capture
from audiodec.sound.drift import Resampler
from audiodec.sound.loop import LiveLoop
from audiodec.sound.meters import Histogram, Level
from audiodec.sound.ring import Ring
from audiodec.sound.simulated import (
    SimulatedClock,
    SimulatedLoudspeaker,
    SimulatedMicrophone,
    simulate,
)

RATE, HOP = 48000, 320


class Wire:
    """A codec that changes nothing, so that samples can be told apart on the far side."""

    sample_rate, hop, channels = RATE, HOP, 1

    def encode(self, samples: np.ndarray) -> np.ndarray:
        return samples

    def encoder(self, bitrate: float | None = None) -> Wire:
        return self

    def decoder(self) -> Wire:
        return self

    def write(self, samples: np.ndarray) -> list[bytes]:
        return [samples.tobytes()]

    def decode(self, packet: bytes) -> np.ndarray:
        return np.frombuffer(packet, np.float32).copy()


class Rig:
    """A loop between simulated devices, with a click in every tenth of a second."""

    def __init__(
        self, seconds: float, block: int, ppm: float = 0, start: float = 0, codec: object = None
    ) -> None:
        self.clock = SimulatedClock()
        sound = np.zeros(round(seconds * RATE), np.float32)
        sound[RATE // 20 :: RATE // 10] = 0.9
        self.clicks = np.flatnonzero(sound)
        self.microphone = SimulatedMicrophone(self.clock, RATE, block, sound, ppm=ppm / 2)
        self.loudspeaker = SimulatedLoudspeaker(self.clock, RATE, block, ppm=-ppm / 2, start=start)
        self.loop = LiveLoop(
            codec or Wire(),  # type: ignore[arg-type]
            self.microphone, self.loudspeaker, clock=self.clock,
        )  # fmt: skip
        self.bound = 1000 * (HOP + 2 * block) / RATE + 1  # ms

    def latencies(self) -> np.ndarray:
        """ms from each click's capture to its sounding, of those that sounded."""
        heard = self.loudspeaker.sounded()
        loud = np.flatnonzero(heard > 0.3)
        peaks = [max(run, key=lambda k: heard[k]) for run in np.split(
            loud, np.flatnonzero(np.diff(loud) > 100) + 1)]  # fmt: skip
        times = self.loudspeaker.begin + np.array(peaks) / self.loudspeaker.true_rate
        sent = self.clicks / self.microphone.true_rate
        latest = sent[np.searchsorted(sent, times) - 1]  # no latency here is a tenth of a second
        return 1000 * (times - latest)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 13)), max_size=60))
def test_a_ring_is_a_bounded_queue(steps: list[tuple[bool, int]]) -> None:
    ring, queue, number = Ring(10), deque[float](), 0
    for writes, count in steps:
        if writes:
            samples = np.arange(number, number + count, dtype=np.float32)
            number += count
            fitting = min(count, 10 - len(queue))
            assert ring.write(samples) == fitting
            queue.extend(samples[:fitting])
        else:
            out = np.full(count, -1, np.float32)
            there = min(count, len(queue))
            assert ring.read(out) == there
            assert list(out) == [queue.popleft() for _ in range(there)] + [-1] * (count - there)
        assert len(ring) == len(queue)


def test_a_ring_keeps_order_between_threads() -> None:
    ring, total, got = Ring(1000), 100_000, []
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)

    def produce() -> None:
        sent, sizes = 0, np.random.default_rng(0)
        while sent < total:
            count = min(int(sizes.integers(1, 700)), total - sent)
            sent += ring.write(np.arange(sent, sent + count, dtype=np.float32))

    producer = threading.Thread(target=produce)
    producer.start()
    try:
        out, count = np.zeros(480, np.float32), 0
        while count < total:
            new = ring.read(out)
            got.append(out[:new].copy())
            count += new
    finally:
        sys.setswitchinterval(before)
        producer.join()
    assert np.array_equal(np.concatenate(got), np.arange(total, dtype=np.float32))


@pytest.mark.parametrize("ratio", [0.9997, 1, 1.0003])
def test_resampling_is_transparent_in_any_chunking(ratio: float) -> None:
    length = 9600
    sine = np.sin(2 * np.pi * 5000 * np.arange(length) / RATE).astype(np.float32)

    def resampled(size: int) -> np.ndarray:
        resample = Resampler()
        return np.concatenate([resample(sine[n : n + size], ratio) for n in range(0, length, size)])

    whole = resampled(length)
    assert len(whole) == pytest.approx(length * ratio, abs=1)
    expected = np.sin(2 * np.pi * 5000 * (np.arange(len(whole)) / ratio - Resampler.delay) / RATE)
    assert np.abs(whole - expected)[100:].max() < 2e-3
    for size in (1000, 320, 1 if ratio == 1 else 64):
        pieces = resampled(size)
        shared = min(len(pieces), len(whole))
        np.testing.assert_allclose(pieces[:shared], whole[:shared], atol=1e-3)


@pytest.mark.parametrize(
    ("ppm", "block"), [(300, 480), (-300, 480), (100, 64), (-200, 441), (0, 240)]
)
def test_drifting_clocks_change_neither_delay_nor_sound(ppm: float, block: int) -> None:
    rig = Rig(40, block, ppm, start=0.0003)
    simulate(rig.clock, rig.loop, processing=0.0003)
    latencies, figures = rig.latencies(), rig.loop.snapshot()
    assert len(latencies) == len(rig.clicks)  # not one was lost or doubled
    assert latencies.max() - latencies.min() < 0.65
    assert latencies[-100:].max() <= rig.bound
    assert np.ptp(latencies[-100:]) < 0.1
    assert figures.drift_ppm == pytest.approx(ppm, abs=5)
    assert figures.missing_ms == figures.skipped_ms == figures.lost_ms == 0


@pytest.mark.parametrize("block", [64, 128, 240, 441, 480])
def test_latency_is_the_same_however_the_blocks_lie(block: int) -> None:
    for alignment in (0, 0.21, 0.5, 0.99):
        rig = Rig(2, block, start=alignment * block / RATE)
        simulate(rig.clock, rig.loop, processing=0.0006)
        assert rig.latencies().max() <= rig.bound
        assert rig.latencies().min() > rig.bound - 0.2
        assert rig.loop.snapshot().missing_ms == 0


def test_speech_codec_keeps_the_latency_promised(codec: audiodec.Codec) -> None:
    for row in measure(codec, (240,), processing=0.7):
        assert row.frame == pytest.approx(20 / 3)
        assert row.capture == row.playback == pytest.approx(1000 * row.block / RATE)
        assert row.limit == pytest.approx(row.frame + row.capture + row.playback + 1)
        assert row.limit - 0.2 < row.mouth_to_ear <= row.limit
        assert row.missing == 0
        assert row.encode > 0
        assert row.decode > 0


def test_what_sounds_is_what_whole_files_decode_to(
    codec: audiodec.Codec, speech: np.ndarray
) -> None:
    clock = SimulatedClock()
    microphone = SimulatedMicrophone(clock, RATE, 240, speech)
    loudspeaker = SimulatedLoudspeaker(clock, RATE, 240)
    loop = LiveLoop(codec, microphone, loudspeaker, 6, clock)
    simulate(clock, loop)
    sounded, whole = loudspeaker.sounded(), codec.decode(codec.encode(speech, 6), len(speech))
    late = lag(whole, sounded, RATE)
    error = sounded[late : late + len(whole)] - whole[: len(sounded) - late]
    assert np.square(error).sum() < 1e-3 * np.square(whole).sum()
    assert loop.snapshot().kbps == 6


def test_after_a_pause_of_the_machine_the_delay_comes_back() -> None:
    rig = Rig(20, 240)
    with rig.loop:
        while not rig.loop.finished and rig.clock.step():
            if not 5 < rig.clock.now < 5.3:
                while rig.loop.work():
                    pass
    figures, latencies = rig.loop.snapshot(), rig.latencies()
    assert 200 < figures.skipped_ms < 320
    assert figures.missing_ms > 200
    assert figures.seconds == pytest.approx(20 - figures.skipped_ms / 1000, abs=0.01)
    assert latencies[-10:].max() <= rig.bound


def test_a_slow_machine_gets_a_longer_delay_and_then_no_gaps() -> None:
    rig = Rig(40, 64, start=0.0011)
    gaps: list[float] = []
    rig.clock.at(10, lambda: gaps.append(rig.loop.snapshot().missing_ms))
    simulate(rig.clock, rig.loop, processing=0.004)
    figures = rig.loop.snapshot()
    assert 0 < gaps[0] < 10
    assert figures.missing_ms == gaps[0]
    assert rig.bound < figures.target_ms < rig.bound + 8


def test_a_microphone_nobody_reads_loses_sound_and_says_so() -> None:
    clock = SimulatedClock()
    capture = Capture(SimulatedMicrophone(clock, RATE, 480, np.ones(3 * RATE, np.float32)), clock)
    capture.start()
    while clock.step():
        pass
    assert len(capture) == RATE
    assert capture.lost == 2 * RATE


def test_devices_must_fit_the_model() -> None:
    clock = SimulatedClock()
    devices = (
        SimulatedMicrophone(clock, RATE, 64, np.zeros(64, np.float32)),
        SimulatedLoudspeaker(clock, RATE, 64),
    )
    with pytest.raises(AudioError, match="must run at 16000 Hz"):
        LiveLoop(Narrow(), *devices)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="bitrate"):
        LiveLoop(Refusing(), *devices)  # type: ignore[arg-type]


class Narrow(Wire):
    sample_rate = 16000


class Refusing(Wire):
    def encoder(self, bitrate: float | None = None) -> Wire:
        raise ConfigError("bitrate")


def test_meters() -> None:
    histogram, level = Histogram(), Level()
    assert histogram.percentile(50) == 0
    for n in range(1, 101):
        histogram.add(n / 10)
    assert histogram.percentile(50) == pytest.approx(5, abs=0.02)
    assert histogram.percentile(99) == pytest.approx(9.9, abs=0.02)
    histogram.add(1e9)
    assert histogram.percentile(100) == pytest.approx(1000, abs=0.02)
    level.add(np.full(480, 0.5, np.float32), RATE)
    assert level.dbfs == pytest.approx(-6.02, abs=0.01)
    level.add(np.zeros(RATE, np.float32), RATE)
    assert level.dbfs == pytest.approx(-26.02, abs=0.01)
