"""Two ends of a call: they find each other, keep others out, and hear each other over sockets."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

import audiodec
from audiodec.errors import ConfigError, ModelError
from audiodec.realtime.endpoint import Endpoint
from audiodec.realtime.handshake import SIZE as HELLO
from audiodec.realtime.keys import VARIABLE, make_key, read_key
from audiodec.realtime.network import Link, every, gilbert, run
from audiodec.realtime.rtp import RtpPacket
from audiodec.realtime.simulated import SimulatedClock, SimulatedLoudspeaker, SimulatedMicrophone
from audiodec.realtime.transport import talk
from audiodec.realtime.voices import FileSource, Loudspeaker, Microphone, Muted
from tests.call_tools import PERIOD, SIZE, fake_codec
from tests.conftest import SPEECH

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
        assert len(summary["copies_now"]) >= 2
    pair.a.end()
    pair.run(62)
    assert pair.b.left
    assert not pair.b.gone


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


# Sockets and processes.


def likeness(reference: np.ndarray, heard: np.ndarray) -> float:
    """Median over pieces of 0.2 s with sound of the highest correlation with any place heard."""
    size, power = 9600, np.concatenate([[0], np.cumsum(np.square(heard, dtype=np.float64))])
    norms, found = np.sqrt(power[size:] - power[:-size] + 1e-6), []
    for piece in reference[: len(reference) // size * size].reshape(-1, size):
        if np.square(piece).mean() > 1e-4:
            length = len(heard) + size
            spectrum = np.fft.rfft(heard, length) * np.conj(np.fft.rfft(piece, length))
            correlation = np.fft.irfft(spectrum, length)[: len(norms)]
            found.append(np.max(correlation / norms) / np.linalg.norm(piece))
    return float(np.median(found))


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Relay:
    """A bad network between two sockets of this machine, in a thread: losses and jitter."""

    def __init__(self, ports: dict[int, tuple[int, int]], loss: float, jitter: float) -> None:
        """ports: own port -> (own other port to send from, port of the receiver)."""
        self.sockets = {port: socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for port in ports}
        for port, s in self.sockets.items():
            s.bind(("127.0.0.1", port))
            s.settimeout(0.1)
        self.running, self.lost = True, 0
        self.threads = [
            threading.Thread(target=self._run, args=(port, *way, loss, jitter), daemon=True)
            for port, way in ports.items()
        ]
        for thread in self.threads:
            thread.start()

    def _run(self, port: int, sender: int, to: int, loss: float, jitter: float) -> None:
        losses, source = gilbert(loss, 3, port), random.Random(port)
        while self.running:
            try:
                data = self.sockets[port].recv(2048)
            except TimeoutError:
                continue
            if next(losses):
                self.lost += 1
                continue
            delay = abs(source.gauss(0, jitter))
            send = self.sockets[sender].sendto
            threading.Timer(delay, send, (data, ("127.0.0.1", to))).start()

    def close(self) -> None:
        self.running = False
        for thread in self.threads:
            thread.join()
        time.sleep(0.2)
        for s in self.sockets.values():
            s.close()


def start_call(listen: int, to: int, *options: object, **keys: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "audiodec", "call", "--listen", f"127.0.0.1:{listen}",
               "--to", f"127.0.0.1:{to}", *map(str, options)]  # fmt: skip
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | keys
    )


def finish(*ends: subprocess.Popen[str]) -> list[dict[str, float]]:
    """Wait for both ends; their summaries."""
    results = [end.communicate(timeout=120) for end in ends]
    assert [end.returncode for end in ends] == [0, 0], [errors for _, errors in results]
    return [json.loads(out) for out, _ in results]


def test_two_processes_talk_through_a_lossy_network(
    tmp_path: Path, codec: audiodec.Codec, speech: np.ndarray
) -> None:
    pytest.importorskip("pylibsrtp")
    a, b, to_a, to_b = free_ports(4)
    key = tmp_path / "key"
    make_key(key)
    relay = Relay({to_b: (to_a, b), to_a: (to_b, a)}, loss=0.05, jitter=0.01)
    try:
        options = ("--key-file", key, "--json", "--dtx")
        heard = tmp_path / "heard.wav"
        ends = [
            start_call(a, to_b, "--input", SPEECH, "--output", tmp_path / "a.wav", *options),
            start_call(b, to_a, "--input", SPEECH, "--output", heard, *options),
        ]
        results = finish(*ends)
    finally:
        relay.close()
    for summary in results:
        assert summary["encrypted"]
        assert summary["received"] > 80
        assert summary["refused"] == 0
    if max(summary["skipped"] for summary in results) > 10:
        pytest.skip("this machine is too busy for two calls in real time")
    audio, rate = soundfile.read(heard, dtype="float32")
    assert rate == 48_000
    assert likeness(codec.decode(codec.encode(speech)), audio) > 0.5  # other speech: 0.3 to 0.4


def test_ctrl_c_hangs_up_on_both_ends() -> None:
    a, b = free_ports(2)
    ends = [
        start_call(own, other, "--input", "none", "--output", "none", "--json")
        for own, other in ((a, b), (b, a))
    ]
    for end in ends:
        assert end.stderr is not None
        assert end.stderr.readline() == "connected, in the open\n"
    ends[0].send_signal(signal.SIGINT)
    for summary in finish(*ends):
        assert summary["connected"]
        assert not summary["encrypted"]


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    a, b = free_ports(2)
    cases = [
        (["--listen", "here", "--to", f"127.0.0.1:{b}"], "--listen needs HOST:PORT"),
        (["--listen", f"0.0.0.0:{a}", "--to", f"192.0.2.1:{b}"], "a call needs a key"),
        (["--listen", f"127.0.0.1:{a}", "--to", f"127.0.0.1:{b}", "--wait", "0.3", "--input",
          "none", "--output", "none"], "no answer within 0.3 s"),
        (["--listen", f"127.0.0.1:{a}", "--to", f"127.0.0.1:{b}", "--input", "missing.wav"],
         "missing.wav cannot be read"),
        (["keygen", str(tmp_path)], "exists already"),
    ]  # fmt: skip
    for arguments, words in cases:
        command = [sys.executable, "-m", "audiodec", "call", *arguments]
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert result.returncode == 1
        assert words in result.stderr
        assert "Traceback" not in result.stderr


def test_a_call_through_webrtc() -> None:
    aiortc = pytest.importorskip("aiortc")
    from audiodec.realtime.webrtc import DataChannel, create_channel

    async def converse() -> tuple[Endpoint, Endpoint]:
        loop = asyncio.get_running_loop()
        caller, called = aiortc.RTCPeerConnection(), aiortc.RTCPeerConnection()
        opened, arrived = loop.create_future(), loop.create_future()
        channel = create_channel(caller)
        channel.on("open", lambda: opened.set_result(None))
        called.on("datachannel", lambda other: arrived.set_result(other))
        try:
            await caller.setLocalDescription(await caller.createOffer())
            await called.setRemoteDescription(caller.localDescription)
            await called.setLocalDescription(await called.createAnswer())
            await caller.setRemoteDescription(called.localDescription)
            other = await asyncio.wait_for(arrived, 30)
            await asyncio.wait_for(opened, 30)
            assert not other.ordered
            assert other.maxRetransmits == 0
            a, b = Endpoint(fake_codec()), Endpoint(fake_codec())
            with soundfile.SoundFile(SPEECH) as file:
                speaks = talk(a, DataChannel(channel), FileSource(file, a.rate), Muted(), 10)
                listens = talk(b, DataChannel(other), Muted(), Muted(), 10)
                await asyncio.wait_for(asyncio.gather(speaks, listens), 60)
            return a, b
        finally:
            await caller.close()
            await called.close()

    spoke, listened = (end.summary(time.monotonic()) for end in asyncio.run(converse()))
    packets = -(-soundfile.info(SPEECH).duration // PERIOD)
    assert spoke["sent"] == packets
    assert packets - 3 <= listened["received"] <= packets
    assert (listened["invalid"], listened["foreign"], listened["refused"]) == (0, 0, 0)
    assert listened["played"] > 0.5 * packets  # all but what a busy machine makes late
