"""Two ends of a call: they find each other, keep others out, and hear each other over sockets."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from audiodec.call.endpoint import Endpoint
from audiodec.call.handshake import HELLO_BYTES as HELLO
from audiodec.call.keys import VARIABLE, make_key, read_key
from audiodec.call.network import Link, every, gilbert, run
from audiodec.errors import ConfigError, ModelError
from audiodec.rtp.packet import RtpPacket
from audiodec.sound.simulated import SimulatedClock, SimulatedLoudspeaker, SimulatedMicrophone
from audiodec.sound.voices import Loudspeaker, Microphone
from tests.call_tools import PERIOD, SIZE, fake_codec

SECRET = bytes(range(32))


class Pair:
    """Two endpoints, a link each way, in simulated time.

    Attributes:
        tap: sees every datagram to `b`, and gives what arrives instead.
    """

    def __init__(self, a: Endpoint, b: Endpoint, **network: object) -> None:
        self.clock, self.a, self.b = SimulatedClock(), a, b
        self.tap: Callable[[bytes], list[bytes]] = lambda datagram: [datagram]
        self.audio = np.zeros(a.size, np.float32)
        self.heard: list[np.ndarray] = []
        there = Link(self.clock, self._to_b, seed=1, **network)  # type: ignore[arg-type]
        back = Link(self.clock, a.receive, seed=2, **network)  # type: ignore[arg-type]
        every(self.clock, a.period, lambda: self._step(a, there))
        every(self.clock, b.period, lambda: self._step(b, back), 0.003)

    def _to_b(self, datagram: bytes, now: float) -> None:
        for changed in self.tap(datagram):
            self.b.receive(changed, now)

    def _step(self, end: Endpoint, link: Link) -> None:
        now = self.clock.now
        for datagram in end.write(self.audio) + end.poll(now):
            link.send(datagram)
        self.heard.append(end.pull(now))

    def run(self, until: float) -> Pair:
        run(self.clock, until)
        return self


def ends(secret: bytes | None, other: bytes | None = None) -> tuple[Endpoint, Endpoint]:
    if secret is not None:
        pytest.importorskip("pylibsrtp")
    return Endpoint(fake_codec(), secret), Endpoint(fake_codec(), other or secret)


@pytest.mark.parametrize("secret", [None, SECRET])
def test_both_ends_find_each_other_over_a_bad_network(secret: bytes | None) -> None:
    pair = Pair(*ends(secret), delay=0.05, jitter=0.02, lost=gilbert(0.2, 3, 5), duplicated=0.1)
    pair.run(60)
    for end in (pair.a, pair.b):
        summary = end.summary(60)
        assert summary["connected"]
        assert summary["encrypted"] == (secret is not None)
        assert summary["played"] + summary["recovered"] > 0.95 * 58 / PERIOD
        assert summary["round_trip_ms"] == pytest.approx(130, abs=60)
        assert 100 < summary["delay_ms"] < 450
        assert summary["lost_on_the_way_there"] > 300
        assert len(summary["redundancy_now"]) >= 2
    pair.a.end()
    pair.run(62)
    assert pair.b.left
    assert not pair.b.gone


def test_ends_that_greet_in_the_older_form_alone_get_the_older_payload() -> None:
    pair, types = Pair(*ends(None), lost=gilbert(0.1, 3, 5)), set[int]()
    older = pair.b._handshake
    older.hellos = lambda: [older._hello(b"ADc2")]  # type: ignore[method-assign]

    def without_newer_hellos(datagram: bytes) -> list[bytes]:
        if datagram[:3] != b"ADc" and not 192 <= datagram[1] <= 223:
            types.add(datagram[1] & 127)
        return [] if datagram.startswith(b"ADc3") else [datagram]

    pair.tap = without_newer_hellos
    pair.run(30)
    for end in (pair.a, pair.b):
        summary = end.summary(30)
        assert summary["played"] + summary["recovered"] > 0.95 * 28 / PERIOD
        assert summary["recovered"] > 50
        assert summary["invalid"] == 0
        assert end._far is not None
        assert end._far.burst is None
    assert types == {97}


def test_ends_of_now_send_compact_payloads_and_tell_of_bursts() -> None:
    pair, types = Pair(*ends(None), delay=0.05, lost=gilbert(0.1, 3, 5)), set[int]()

    def look(datagram: bytes) -> list[bytes]:
        if datagram[:3] != b"ADc" and not 192 <= datagram[1] <= 223:
            types.add(datagram[1] & 127)
        return [datagram]

    pair.tap = look
    pair.run(30)
    assert types == {99}
    assert pair.a._far is not None
    assert pair.a._far.burst is not None


def test_who_vanishes_is_gone() -> None:
    pair = Pair(*ends(None)).run(5)
    pair.tap = lambda datagram: []
    pair.run(14)
    assert not pair.b.left
    assert pair.run(16).b.gone


def test_another_key_or_none_gets_no_call() -> None:
    pair = Pair(*ends(SECRET, bytes(32))).run(3)
    assert not pair.a.connected
    assert pair.b.refused
    mixed = Pair(Endpoint(fake_codec(), SECRET), Endpoint(fake_codec(), None)).run(3)
    assert not mixed.a.connected
    assert not mixed.b.connected


def test_another_model_is_an_error_that_says_so() -> None:
    other = fake_codec()
    other.info.weights_hash = b"another."
    with pytest.raises(ModelError, match="the other end speaks with model weights"):
        Pair(Endpoint(fake_codec()), Endpoint(other)).run(3)


def test_changed_repeated_and_foreign_datagrams_are_not_heard() -> None:
    pair = Pair(*ends(SECRET)).run(2)
    good = pair.b.summary(2)["received"]
    source, seen = random.Random(0), list[bytes]()

    def attack(datagram: bytes) -> list[bytes]:
        seen.append(datagram)
        changed = bytearray(datagram)
        changed[source.randrange(len(changed))] ^= 1 << source.randrange(8)
        forged = RtpPacket(97, len(seen), len(seen) * SIZE, source.getrandbits(32), bytes(33))
        return [bytes(changed), forged.to_bytes(), source.randbytes(HELLO), seen[len(seen) // 2],
                datagram, datagram]  # fmt: skip

    pair.tap = attack
    summary = pair.run(10).b.summary(10)
    assert summary["received"] - good == pytest.approx(8 / PERIOD, abs=2)
    assert summary["refused"] > 4 * 8 / PERIOD
    assert (summary["foreign"], summary["invalid"], summary["duplicate"]) == (0, 0, 0)


@pytest.mark.parametrize("secret", [None, SECRET])
def test_hostile_datagrams_never_raise(secret: bytes | None) -> None:
    pair = Pair(*ends(secret)).run(2)
    source, seen = random.Random(1), list[bytes]()

    def keep(datagram: bytes) -> list[bytes]:
        seen.append(datagram)
        return [datagram]

    pair.tap = keep
    pair.run(4)
    for _ in range(20_000):
        data = bytearray(source.choice(seen))
        for _ in range(source.randint(1, 3)):
            data[source.randrange(len(data))] = source.randrange(256)
        hostile = bytes(data[: source.randint(0, len(data))])
        pair.b.receive(source.choice((hostile, source.randbytes(source.randrange(1600)))), 4.0)
    before = pair.b.summary(4)["played"]
    assert pair.run(24).b.summary(24)["played"] - before > 0.9 * 20 / PERIOD


def test_a_recorded_call_cannot_be_played_to_a_new_one() -> None:
    first = Pair(*ends(SECRET))
    recorded: list[bytes] = []

    def record(datagram: bytes) -> list[bytes]:
        recorded.append(datagram)
        return [datagram]

    first.tap = record
    first.run(3)
    _, fresh = ends(SECRET)
    for n, datagram in enumerate(recorded):
        fresh.receive(datagram, 0.02 * n)
    assert not fresh.connected


def test_own_datagrams_sent_back_are_nobody() -> None:
    alone = Endpoint(fake_codec())
    for n in range(100):
        for datagram in alone.poll(0.1 * n):
            alone.receive(datagram, 0.1 * n)
    assert not alone.connected


def test_packets_must_fit_a_datagram() -> None:
    with pytest.raises(ConfigError, match="datagram"):
        Endpoint(fake_codec(), frames=150)


def test_keys_are_files_of_their_owner_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key"
    make_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    secret = read_key(path)
    assert secret is not None
    assert len(secret) == 32
    with pytest.raises(ConfigError, match="never overwritten"):
        make_key(path)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_key(path)
    path.chmod(0o600)
    path.write_text("short")
    with pytest.raises(ConfigError, match="keygen"):
        read_key(path)
    monkeypatch.delenv(VARIABLE, raising=False)
    assert read_key(None) is None
    monkeypatch.setenv(VARIABLE, secret.hex())
    assert read_key(None) == secret


@pytest.mark.parametrize("ppm", [-300, 300])
def test_devices_of_other_clocks_keep_their_delay(ppm: float) -> None:
    clock = SimulatedClock()
    tone = np.sin(2 * np.pi * 440 * np.arange(70 * 48_000) / 48_000).astype(np.float32)
    microphone = Microphone(SimulatedMicrophone(clock, 48_000, 480, sound=tone, ppm=ppm), 0.02)
    speaker_device = SimulatedLoudspeaker(clock, 48_000, 480, ppm=-ppm)
    speaker = Loudspeaker(speaker_device, 0.02)
    microphone.start()
    speaker.start()
    every(clock, 0.02, lambda: speaker.write(microphone.read(960)), 0.011)
    run(clock, 60)
    played = speaker_device.sounded()[40 * 48_000 : 59 * 48_000]
    assert np.abs(np.diff(played)).max() < 0.065  # a gap or a jump would be 0.1 to 2
    spectrum = np.abs(np.fft.rfft(played * np.hanning(len(played))))
    assert np.argmax(spectrum) * 48_000 / len(played) == pytest.approx(440, abs=0.3)
