"""The RTP front of `audiodec serve`: the same sound as over the WebSocket, whoever else sends."""

from __future__ import annotations

import base64
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import audiodec

websockets = pytest.importorskip("websockets")
pytest.importorskip("prometheus_client")
pytest.importorskip("pylibsrtp")

from websockets.sync.client import ClientConnection, connect  # noqa: E402

from audiodec.realtime.network import Link, every, gilbert, run  # noqa: E402
from audiodec.realtime.payload import (  # noqa: E402
    Payload,
    Protection,
    Redundancy,
    from_bytes,
    to_bytes,
)
from audiodec.realtime.receiver import Receiver, Reception  # noqa: E402
from audiodec.realtime.rtp import RtpPacket  # noqa: E402
from audiodec.realtime.sender import Sender  # noqa: E402
from audiodec.realtime.silence import describe  # noqa: E402
from audiodec.realtime.simulated import SimulatedClock  # noqa: E402
from audiodec.realtime.srtp import Srtp  # noqa: E402
from audiodec.serve.batch import DecoderBatch  # noqa: E402
from audiodec.serve.pcm import to_pcm  # noqa: E402
from audiodec.serve.reorder import LONGEST_GAP, PATIENCE, Reorder  # noqa: E402
from tests.serve_tools import WAIT, Served, noise, refusal  # noqa: E402

SOUND, SPEECH, NOISE = 96, 97, 98
MOST_TRIES = 6  # a machine that pauses is too late for its packets; then a stream is tried again
STEP = 1.5e-4  # half a step of 16 bits, and 1e-4 by which batches may differ


class RtpClient:
    """The client's side of an RTP stream, with a socket of its own."""

    def __init__(self, control: ClientConnection, agreed: dict[str, Any]) -> None:
        self.control, self.agreed, rtp = control, agreed, agreed["rtp"]
        self.rtp, self.frames, self.size = rtp, agreed["frames"], agreed["frames"] * agreed["hop"]
        self.rate = agreed["rate"]
        key = base64.b64decode(rtp["key"])
        self.guard = Srtp(key, key, rtp["ssrc"], rtp["server_ssrc"])
        self.sequence, self.timestamp = 30_000, 2**32 - 5 * self.size  # it wraps soon
        self.to = ("127.0.0.1", rtp["port"])
        self.socket = self.another_socket()

    def another_socket(self) -> socket.socket:
        own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        own.bind(("127.0.0.1", 0))
        own.settimeout(WAIT)
        return own

    def packet(self, kind: int, payload: bytes, length: int) -> bytes:
        """The next datagram, of so many samples."""
        packet = RtpPacket(kind, self.sequence, self.timestamp, self.rtp["ssrc"], payload)
        self.sequence += 1
        self.timestamp += length
        return self.guard.protect(packet.to_bytes())

    def sound(self, samples: np.ndarray) -> bytes:
        return self.packet(SOUND, to_pcm(samples[None], "l16"), len(samples))

    def speech(self, packet: bytes) -> bytes:
        bits = 8  # of the small model's codes
        payload = to_bytes(Payload(packet, {}), self.frames, bits)
        return self.packet(SPEECH, payload, self.size)

    def send(self, datagram: bytes) -> None:
        self.socket.sendto(datagram, self.to)

    def receive(self, own: socket.socket | None = None) -> RtpPacket:
        packet = RtpPacket.parse(self.guard.open((own or self.socket).recv(2000)))
        assert packet.ssrc == self.rtp["server_ssrc"]
        return packet

    def encoded(self, count: int) -> list[bytes]:
        """The next packets that the server has encoded."""
        found = [from_bytes(self.receive().payload, self.frames, 8, 4) for _ in range(count)]
        assert not any(payload.copies for payload in found)
        return [payload.packet for payload in found]

    def end(self) -> dict[str, Any]:
        self.control.send(json.dumps({"end": True}))
        return json.loads(self.control.recv(WAIT))


@contextmanager
def rtp_stream(server: Served, **hello: Any) -> Iterator[RtpClient]:
    with server.stream(transport="rtp", **hello) as (control, agreed):
        client = RtpClient(control, agreed)
        with client.socket:
            yield client


def rounded(samples: np.ndarray) -> np.ndarray:
    """As 16 bits carry it."""
    return np.frombuffer(to_pcm(samples[None], "s16"), "<i2").astype(np.float32) / 32768


def heard_of(client: RtpClient, datagrams: list[bytes]) -> tuple[np.ndarray, dict[str, Any]]:
    """Send in real time, the end behind; all sound that comes back, and the account of it."""
    arrived: list[RtpPacket] = []
    account: dict[str, Any] = {}

    def listen() -> None:
        client.socket.settimeout(0.2)
        while True:
            try:
                arrived.append(client.receive())
            except TimeoutError:
                if account:
                    return

    listener = threading.Thread(target=listen)
    listener.start()
    start, period = time.monotonic(), client.size / client.rate
    for number, datagram in enumerate(datagrams):
        time.sleep(max(0.0, start + number * period - time.monotonic()))
        if datagram:
            client.send(datagram)
    account.update(client.end())
    listener.join(WAIT)
    assert {packet.payload_type for packet in arrived} == {SOUND}
    pieces: list[np.ndarray] = []
    for one, two in itertools.pairwise([*arrived, None]):
        pieces.append(np.frombuffer(one.payload, ">i2").astype(np.float32) / 32768)
        if two is not None:
            assert (two.sequence - one.sequence) & 0xFFFF == 1
            step = (two.timestamp - one.timestamp) & 0xFFFFFFFF
            assert step % client.size == 0  # more than one only where the machine paused
            pieces.append(np.zeros(step - len(pieces[-1]), np.float32))
    return np.concatenate(pieces), account


# Sound there and back


def test_encoded_packets_are_those_of_the_websocket(
    start_server: Callable[..., Served], small: audiodec.Codec
) -> None:
    """Three streams at once, in lock step; each gets its own packets."""

    def one(number: int) -> None:
        frames, bitrate = 1 + number % 3, small.bitrates[number % 4]
        sound = rounded(noise(number, 160 * frames * 40))
        encoder = small.encoder(bitrate, 1, frames)
        with rtp_stream(server, mode="encode", bitrate=bitrate, frames=frames) as client:
            assert client.agreed["format"] == "l16"
            for at, block in enumerate(sound.reshape(-1, client.size)):
                half = len(block) // 2
                first, second = client.sound(block[:half]), client.sound(block[half:])
                overtaken = number and at  # not the first, where the stream begins
                client.send(second if overtaken else first)
                client.send(first if overtaken else second)
                client.send(first)  # a replay
                assert client.encoded(1) == encoder.write(block)
            assert client.end() == {"end": True, "packets": 40}

    with start_server() as server, ThreadPoolExecutor(3) as clients:
        list(clients.map(one, range(3)))
        assert server.count('audiodec_datagrams_dropped_total{reason="refused"}') == 3 * 40
        for mode in ("encode", "decode"):
            server.wait_for(f'audiodec_streams{{mode="{mode}"}}', 0)


def test_the_end_is_not_cut_off(start_server: Callable[..., Served], small: audiodec.Codec) -> None:
    sound = rounded(noise(5, 700))
    with start_server() as server, rtp_stream(server, mode="encode") as client:
        client.send(client.sound(sound[:300]))
        client.sound(sound[:0])
        client.timestamp += 200  # lost for ever
        client.send(client.sound(sound[500:]))
        assert client.end()["packets"] == 5
        encoder = small.encoder()
        silenced = np.concatenate([sound[:300], np.zeros(200, np.float32), sound[500:]])
        assert client.encoded(5) == encoder.write(silenced) + encoder.drain()


def test_bitrate_changes_in_mid_stream(
    start_server: Callable[..., Served], small: audiodec.Codec
) -> None:
    low, high = small.bitrates[0], small.bitrates[-1]
    with start_server() as server, rtp_stream(server, mode="encode", bitrate=low) as client:
        client.send(client.sound(noise(0, 160)))
        assert len(client.encoded(1)[0]) == 1
        client.control.send(json.dumps({"bitrate": high}))
        for _ in range(10 * WAIT):  # the message and the datagram travel apart
            client.send(client.sound(noise(0, 160)))
            if len(client.encoded(1)[0]) == 4:
                break
        else:
            raise AssertionError("the bitrate does not change")


def test_decoded_sound_is_that_of_the_websocket(
    start_server: Callable[..., Served], small: audiodec.Codec
) -> None:
    """Without losses, behind the silence in which the jitter buffer fills; two at once."""

    def one(number: int) -> None:
        frames = 3 - number
        packets = small.encoder(None, 1, frames).write(noise(number, 160 * frames * 60))
        decoder = small.decoder(frames)
        alone = np.concatenate([decoder.decode(packet) for packet in packets])
        for _ in range(MOST_TRIES):
            with rtp_stream(server, mode="decode", frames=frames) as client:
                datagrams = [client.speech(packet) for packet in packets]
                heard, account = heard_of(client, datagrams)
            begin = int(np.flatnonzero(heard)[0]) // client.size * client.size
            same = heard[begin : begin + len(alone)]
            if len(same) == len(alone) and np.abs(same - alone).max() < STEP:
                assert account["lost"] == account["invalid"] == account["recovered"] == 0
                return
            assert account["played"] < 60 or account["stretched"] + account["merged"]
        raise AssertionError(f"the machine pauses too often: {account}")

    with start_server() as server, ThreadPoolExecutor(2) as clients:
        list(clients.map(one, range(2)))


def test_losses_are_concealed_and_silence_is_filled_with_noise(
    start_server: Callable[..., Served], small: audiodec.Codec
) -> None:
    packets = small.encoder(None, 1, 3).write(noise(7, 480 * 50))
    with start_server() as server, rtp_stream(server, mode="decode", frames=3) as client:
        spoken = [client.speech(packet) for packet in packets]
        datagrams = [b"" if n in (20, 21, 30) else spoken[n] for n in range(50)]
        datagrams += [client.packet(NOISE, describe(-40.0), client.size) for _ in range(5)]
        heard, account = heard_of(client, datagrams)
    assert account["lost"] == 3
    assert 20 < account["played"] <= 47  # all, unless the machine paused
    assert account["concealed"] >= 3
    assert account["noise"] > 1
    assert len(heard) >= 51 * client.size
    assert 0.001 < np.std(heard[-client.size :]) < 0.03


@pytest.mark.parametrize("loss", [0.0, 0.1])
def test_streams_decoded_together_sound_as_in_calls_of_their_own(
    small: audiodec.Codec, loss: float
) -> None:
    """Copies, silence, jitter and losses, in simulated time, through batch and receiver alike."""
    clock, size, streams = SimulatedClock(), 480, 3
    period, batch = size / 16000, DecoderBatch(small.runtime, streams)
    shape = (3, 8, 4, size, 16000)
    alone = [Receiver(small.decoder(3), *shape, ssrc) for ssrc in range(streams)]
    together = [Reception(*shape, ssrc) for ssrc in range(streams)]
    started = [False] * streams

    def speak(ssrc: int) -> Callable[[], None]:
        redundancy = Redundancy(3, 8, Protection((2 + ssrc,), 2))
        sender = Sender(small.encoder(None, 1, 3), redundancy, size, 16000, ssrc, dtx=ssrc == 0)
        network = {"delay": 0.05, "jitter": 0.02, "lost": gilbert(loss, 2, ssrc), "seed": ssrc}

        def deliver(datagram: bytes, now: float) -> None:
            alone[ssrc].receive(datagram, now)
            together[ssrc].receive(datagram, now)

        link = Link(clock, deliver, **network)  # type: ignore[arg-type]
        sound = iter(noise(ssrc, 100 * size).reshape(-1, size))

        def turn() -> None:
            for datagram in sender.write(next(sound) * (0.0001 if clock.now % 2 > 1 else 1)):
                link.send(datagram)

        return turn

    def listen() -> None:
        expected = [each.pull(clock.now) for each in alone]
        for ssrc, each in enumerate(together):
            turn = each.due(clock.now)
            rows, decoded = np.array([ssrc]), []
            for packet in turn.packets:
                started[ssrc] |= packet is not None
                audio = np.zeros(size, np.float32)
                if started[ssrc]:
                    audio = batch.decode(rows, [[packet]], 3)[0, 0]
                decoded.append(audio)
            np.testing.assert_allclose(each.sound(turn, decoded), expected[ssrc], atol=2e-4)

    for ssrc in range(streams):
        every(clock, period, speak(ssrc))
    every(clock, period, listen, 0.004)
    run(clock, 99 * period)
    for one, other in zip(alone, together, strict=True):
        assert one.counts == other.counts
        assert other.counts.played > 40
        assert bool(other.counts.recovered) == bool(loss)
    assert together[0].counts.noise > 0


def test_sound_is_put_in_order() -> None:
    sound, start = noise(0, 1000), 2**32 - 300
    pieces = {at: sound[at : at + 100] for at in range(0, 1000, 100)}

    def through(order: list[int]) -> np.ndarray:
        reorder, blocks = Reorder(16000), []
        for at in order:
            blocks += reorder.receive((start + at) % 2**32, pieces[at])
            assert len(reorder._held) <= PATIENCE
        blocks += reorder.flush()
        return np.concatenate(blocks)

    np.testing.assert_array_equal(
        through([0, 300, 100, 100, 200, 500, 400, *range(600, 1000, 100)]), sound
    )
    gap = sound.copy()
    gap[200:300] = 0
    late = [0, 100, 300, 400, 500, 600, 700, 200, 800, 900]
    np.testing.assert_array_equal(through(late), gap)
    reorder = Reorder(16000)
    far = round(LONGEST_GAP * 16000) + 101
    blocks = [reorder.receive(at, sound[:100]) for at in (0, far, far - 100, 5, 2**31, 50)]
    assert [sum(map(len, each)) for each in blocks] == [100, 100, 0, 100, 100, 100]


def test_a_full_inbox_can_end(small: audiodec.Codec, start_server: Callable[..., Served]) -> None:
    """The last packet is filled up beyond what could be written."""
    with start_server(message=4096) as server:
        for odd in (97, 160):
            with server.stream(mode="encode") as (client, _):
                for message in (bytes(2 * odd), bytes(4096)):
                    client.send(message)
                client.send(json.dumps({"end": True}))
                while isinstance(last := client.recv(WAIT), bytes):
                    pass
                assert json.loads(last)["packets"] == -(-(odd + 2048) // 160)


# Strangers


def test_what_is_not_authentic_changes_nothing(
    start_server: Callable[..., Served], small: audiodec.Codec
) -> None:
    encoder, dropped = small.encoder(), 'audiodec_datagrams_dropped_total{reason="%s"}'
    with start_server() as server, rtp_stream(server, mode="encode") as client:
        first, second = noise(0, 160), noise(1, 160)
        genuine = client.sound(first)
        client.send(genuine)
        assert client.encoded(1) == encoder.write(rounded(first))
        rtp, key = client.rtp, bytes(30)
        wrong = Srtp(key, key, rtp["ssrc"], rtp["server_ssrc"])
        plain = RtpPacket(SOUND, 31_000, client.timestamp, rtp["ssrc"], bytes(320)).to_bytes()
        tampered = bytearray(client.sound(second))
        tampered[20] ^= 1
        with client.another_socket() as stranger:
            unknown = plain[:8] + bytes(4) + plain[12:]
            for data in (
                wrong.protect(plain),
                plain,
                bytes(tampered),
                genuine,
                unknown,
                bytes(1401),
            ):
                stranger.sendto(data, client.to)
            server.wait_for(dropped % "refused", 4)
            server.wait_for(dropped % "unknown", 2)
            client.timestamp -= 160
            client.send(client.sound(second))
            assert client.encoded(1) == encoder.write(rounded(second))  # not to the stranger
            stranger.settimeout(0.05)
            with pytest.raises(TimeoutError):
                stranger.recv(2000)


def test_the_way_back_follows_the_newest_authentic_datagram(
    start_server: Callable[..., Served],
) -> None:
    with start_server() as server, rtp_stream(server, mode="encode") as client:
        client.send(client.sound(noise(0, 160)))
        client.encoded(1)
        old = client.sound(noise(1, 160))
        with client.another_socket() as moved:
            moved.sendto(client.sound(noise(2, 160)), client.to)
            client.send(old)  # overtaken, from where the client was
            assert [client.receive(moved).payload_type for _ in range(2)] == [SPEECH, SPEECH]


def test_another_kind_of_datagram_is_not_used(
    start_server: Callable[..., Served],
) -> None:
    with start_server() as server, rtp_stream(server, mode="encode") as client:
        client.send(client.speech(bytes(4)))
        client.send(client.packet(SOUND, bytes(3), 0))
        server.wait_for('audiodec_datagrams_dropped_total{reason="invalid"}', 2)
        client.send(client.sound(noise(0, 160)))
        client.encoded(1)
        client.control.send(bytes(320))
        assert refusal(client.control) == (4400, "sound and packets of this stream travel by RTP")
    with (
        start_server() as server,
        server.stream(mode="encode", transport="rtp", format="f32") as (_, error),
    ):
        assert "16-bit" in error["error"]


# 100,000 take minutes: AUDIODEC_FUZZ=100000 pytest -m slow tests/test_serve_rtp.py
MANY = int(os.environ.get("AUDIODEC_FUZZ", "20000"))


def hostile(rng: np.random.Generator, client: RtpClient, good: bytes) -> bytes:
    """A datagram of anybody, or (half of them) of a client with the key that sends nonsense."""
    kind = rng.integers(8)
    if kind == 0:
        return rng.bytes(int(rng.integers(0, 1500)))
    if kind == 1:
        return b"\x80\x60" + rng.bytes(6) + good[8:12] + rng.bytes(int(rng.integers(0, 1400)))
    if kind == 2:
        return good[: int(rng.integers(len(good)))]
    if kind == 3:
        mutated = bytearray(good)
        mutated[int(rng.integers(len(mutated)))] ^= 1 << int(rng.integers(8))
        return bytes(mutated)
    if rng.random() < 0.2:
        client.timestamp = int(rng.integers(2**32))
    client.sequence += int(rng.choice([0, 0, 1, 30]))
    payload = rng.bytes(int(rng.integers(0, 700)))
    if kind == 4:
        payload = bytes([client.frames, int(rng.integers(3)), int(rng.integers(6))]) + payload[:60]
    if kind == 5:
        payload = to_bytes(Payload(rng.bytes(4 * client.frames), {}), client.frames, 8)
    return client.packet(int(rng.choice([SOUND, SPEECH, NOISE, 5])), payload, client.size)


@pytest.mark.parametrize("count", [1200, pytest.param(MANY, marks=pytest.mark.slow)])
def test_hostile_datagrams_reach_no_other_stream(
    start_server: Callable[..., Served], small: audiodec.Codec, count: int
) -> None:
    encoder = small.encoder()

    def attack(mode: str, seed: int) -> None:
        rng = np.random.default_rng(seed)
        with rtp_stream(server, mode=mode, frames=1 + seed) as client:
            client.socket.setblocking(False)
            good = client.packet(SPEECH, bytes(50), client.size)
            for n in range(count // 3):
                client.send(hostile(rng, client, good))
                if n % 20 == 0:
                    time.sleep(0.005)  # so that the system drops few of them
            assert client.end()["end"]

    with start_server(rate=10**8, idle=600) as server, ThreadPoolExecutor(4) as pool:
        attacks = [pool.submit(attack, ("decode", "encode")[n % 2], n) for n in range(3)]
        pieces = 0
        with rtp_stream(server, mode="encode") as victim:
            victim.socket.settimeout(5)
            while pieces < 10 or not all(each.done() for each in attacks):
                piece = noise(pieces, 160)
                victim.send(victim.sound(piece))
                try:
                    assert victim.encoded(1) == encoder.write(rounded(piece))
                except TimeoutError:  # the flood filled the system's queue
                    victim.timestamp -= 160
                pieces += 1
        for each in attacks:
            each.result()
        for mode in ("encode", "decode"):
            server.wait_for(f'audiodec_streams{{mode="{mode}"}}', 0)
        dropped = 'audiodec_datagrams_dropped_total{reason="%s"}'
        seen = sum(server.count(dropped % reason) for reason in ("unknown", "refused", "invalid"))
        assert seen > count / 4  # half of them should be; the system may have dropped some
        assert server.page("/readyz") == "ready\n"


# The WebSocket rules


def test_closing_the_websocket_frees_the_place(start_server: Callable[..., Served]) -> None:
    with start_server(streams=1) as server:
        for mode in ("encode", "decode", "encode"):
            with rtp_stream(server, mode=mode) as client:
                with server.stream(mode=mode, transport="rtp") as (_, error):
                    assert "all streams are taken" in error["error"]
                client.send(client.sound(noise(0, 160)))
            server.wait_for(f'audiodec_streams{{mode="{mode}"}}', 0)
            before = server.count('audiodec_datagrams_dropped_total{reason="unknown"}')
            with client.another_socket() as own:
                own.sendto(client.sound(noise(0, 160)), client.to)
            server.wait_for('audiodec_datagrams_dropped_total{reason="unknown"}', before + 1)


def test_idle_counts_datagrams_as_life(start_server: Callable[..., Served]) -> None:
    with start_server(idle=2) as server, rtp_stream(server, mode="encode") as client:
        for _ in range(50):  # 2.5 s at least
            client.send(client.sound(noise(0, 160)))
            time.sleep(0.05)
        client.encoded(50)  # the last of them too
        assert refusal(client.control) == (4408, "nothing was sent for too long")


def test_without_a_token_no_key(start_server: Callable[..., Served]) -> None:
    with (
        start_server(tokens=("secret",)) as server,
        server.stream(mode="encode", transport="rtp", token="wrong") as (_, answer),
    ):
        assert list(answer) == ["error"]


def test_sigterm_lets_streams_end(small_folder: Path, small: audiodec.Codec) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "audiodec", "serve", "--port", "0", "--model", str(small_folder)],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        url, encoder = process.stdout.readline().strip(), small.encoder()
        with connect(url, compression=None) as control:
            control.send(json.dumps({"mode": "encode", "transport": "rtp"}))
            client = RtpClient(control, json.loads(control.recv(WAIT)))
            with client.socket:
                for number in range(10):
                    if number == 5:
                        process.send_signal(signal.SIGTERM)
                        assert json.loads(control.recv(WAIT)) == {"draining": 30}
                    piece = noise(number, 160)
                    client.send(client.sound(piece))
                    assert client.encoded(1) == encoder.write(rounded(piece))
                assert client.end()["packets"] == 10
        out, errors = process.communicate(timeout=WAIT)
        assert process.returncode == 0, errors
        assert out == ""
        assert "Traceback" not in errors
    finally:
        process.kill()
