"""`audiodec serve` in operation: pages, an orderly end, hostile clients."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

import audiodec

websockets = pytest.importorskip("websockets")
pytest.importorskip("prometheus_client")

from websockets.exceptions import ConnectionClosed, InvalidStatus  # noqa: E402
from websockets.sync.client import connect  # noqa: E402

from tests.serve_tools import UPGRADE, WAIT, Served, noise, refusal, through  # noqa: E402


def test_pages(start_server: Callable[..., Served]) -> None:
    with start_server() as server:
        assert server.page("/healthz") == "alive\n"
        assert server.page("/readyz") == "ready\n"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            server.page("/")
        with server.stream(mode="encode") as (client, _):
            through(client, 10 * [bytes(320)])
        server.wait_for('audiodec_streams{mode="encode"}', 0)
        assert server.count('audiodec_opened_total{mode="encode"}') == 1
        assert server.count('audiodec_packets_total{mode="encode"}') == 10
        assert server.count('audiodec_bytes_total{direction="in"}') == 3200 + len('{"end": true}')
        assert server.count('audiodec_bytes_total{direction="out"}') == 10 * 4
        assert server.count("audiodec_call_seconds_count") > 0


def test_sigterm_lets_streams_end(small_folder: Path, small: audiodec.Codec) -> None:
    command = [sys.executable, "-m", "audiodec", "serve", "--port", "0", "--drain", "30"]
    environment = {**os.environ, "AUDIODEC_TOKENS": "secret"}
    process = subprocess.Popen(
        [*command, "--model", str(small_folder)], text=True, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        sound = noise(0, 8000)
        with connect(url, compression=None) as client:
            client.send(json.dumps({"mode": "encode", "format": "f32", "token": "secret"}))
            client.recv(WAIT)
            client.send(sound[:4000].tobytes())
            process.send_signal(signal.SIGTERM)
            received: list[bytes] = []
            while isinstance(message := client.recv(WAIT), bytes):
                received.append(message)
            assert json.loads(message) == {"draining": 30}
            page = url.replace("ws:", "http:").replace("/stream", "/readyz")
            with pytest.raises(urllib.error.HTTPError, match="503"):
                urllib.request.urlopen(page, timeout=WAIT)
            with pytest.raises(InvalidStatus, match="503"):
                connect(url).__enter__()
            rest, _ = through(client, [sound[4000:].tobytes()])
        assert received + rest == small.encoder().write(sound)
        out, errors = process.communicate(timeout=WAIT)
        assert process.returncode == 0, errors
        assert out == ""
        assert "Traceback" not in errors
        assert "secret" not in errors
    finally:
        process.kill()


def test_streams_that_never_end_are_cut_off_after_the_drain(
    start_server: Callable[..., Served],
) -> None:
    with start_server(drain=0.3) as server, server.stream(mode="encode") as (client, _):
        server.stop()
        assert json.loads(client.recv(WAIT)) == {"draining": 0.3}
        assert refusal(client)[0] == 1001


# Hostile clients


def hostile(rng: np.random.Generator, packet: bytes) -> str | bytes:
    """One message that a stream may or may not take."""
    kind = rng.integers(8)
    if kind == 0:
        return rng.bytes(int(rng.integers(0, 40)))
    if kind == 1:
        return rng.bytes(int(rng.integers(0, 5000)))
    if kind == 2:
        mutated = bytearray(packet)
        mutated[int(rng.integers(len(mutated)))] ^= 1 << int(rng.integers(8))
        return bytes(mutated)
    if kind == 3:
        return np.full(
            int(rng.integers(1, 400)), rng.choice([3e38, -3e38, 1e-45, 0]), "<f4"
        ).tobytes()
    if kind == 4:
        return packet[: int(rng.integers(len(packet)))]
    if kind == 5:
        return str(
            rng.choice(['{"bitrate": 1e999}', '{"end": 1}', "[" * 4000, "\0", '{"end":', "{}"])
        )
    if kind == 6:
        return json.dumps({"bitrate": float(rng.normal())})
    return packet


def attack(server: Served, seed: int, messages: int, packet: bytes) -> None:
    """Send hostile messages over many connections, one after the other."""
    rng, sent = np.random.default_rng(seed), 0
    hellos = [
        {"mode": mode, "format": kind, "frames": frames}
        for mode in ("encode", "decode") for kind in ("s16", "f32") for frames in (1, 2, 3)
    ]  # fmt: skip
    while sent < messages:
        with suppress(ConnectionClosed), server.connect() as client:
            if rng.random() < 0.9:
                client.send(json.dumps(hellos[int(rng.integers(len(hellos)))]))
            for _ in range(int(rng.integers(1, 60))):
                sent += 1
                client.send(hostile(rng, packet))


# 100,000 take twenty minutes: AUDIODEC_FUZZ=100000 pytest -m slow tests/test_serve_operation.py
MANY = int(os.environ.get("AUDIODEC_FUZZ", "20000"))


@pytest.mark.parametrize("messages", [300, pytest.param(MANY, marks=pytest.mark.slow)])
def test_hostile_messages_reach_no_other_stream(
    start_server: Callable[..., Served], small: audiodec.Codec, messages: int
) -> None:
    encoder = small.encoder()
    packet = small.encoder().write(noise(1, 160))[0]
    attackers = 6
    with (
        start_server(rate=10**8, idle=600, hello=WAIT) as server,
        ThreadPoolExecutor(attackers) as pool,
    ):
        attacks = [
            pool.submit(attack, server, seed, messages // attackers, packet)
            for seed in range(attackers)
        ]
        with server.stream(mode="encode", format="f32") as (victim, _):
            pieces = 0
            while pieces < 10 or not all(each.done() for each in attacks):
                piece = noise(pieces, 800)
                victim.send(piece.tobytes())
                for expected in encoder.write(piece):
                    assert victim.recv(WAIT) == expected
                pieces += 1
        for each in attacks:
            each.result()
        for mode in ("encode", "decode"):
            server.wait_for(f'audiodec_streams{{mode="{mode}"}}', 0)
        assert server.page("/readyz") == "ready\n"


def test_bytes_that_are_no_websocket(start_server: Callable[..., Served]) -> None:
    rng = np.random.default_rng(0)
    with start_server(hello=2) as server:
        for number in range(60):
            before = UPGRADE if number % 2 else b"GET " * (number % 3)
            with socket.create_connection(("127.0.0.1", server.port), timeout=WAIT) as raw:
                raw.sendall(before + rng.bytes(int(rng.integers(1, 3000))))
        assert server.page("/healthz") == "alive\n"
        with server.stream(mode="encode") as (client, _):
            assert through(client, [bytes(320)])[1]["packets"] == 1
