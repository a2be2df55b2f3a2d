"""Whoever else sends datagrams to `audiodec serve`: none changes what another stream hears."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import audiodec

websockets = pytest.importorskip("websockets")
pytest.importorskip("prometheus_client")
pytest.importorskip("pylibsrtp")

from audiodec.rtp.packet import RtpPacket  # noqa: E402
from audiodec.rtp.payload import Form, Payload, to_bytes  # noqa: E402
from audiodec.rtp.srtp import Srtp  # noqa: E402
from tests.serve_rtp_tools import NOISE, SOUND, SPEECH, RtpClient, rounded, rtp_stream  # noqa: E402
from tests.serve_tools import Served, noise, refusal  # noqa: E402


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


# 100,000 take minutes: AUDIODEC_FUZZ=100000 pytest -m slow tests/test_serve_rtp_strangers.py
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
        payload = to_bytes(Payload(rng.bytes(4 * client.frames), {}), client.format, Form.OLDER)
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
