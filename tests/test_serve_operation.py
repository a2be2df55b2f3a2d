"""`audiodec serve` in operation: pages, an orderly end, hostile clients."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
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


ALIVE = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"


def ask(server: Served, *segments: bytes, half: bool = False) -> bytes:
    """All that comes back for bytes in so many segments; `half`: and then the client's end."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=WAIT) as raw:
        for n, segment in enumerate(segments):
            if n:
                time.sleep(0.05)
            raw.sendall(segment)
        if half:
            raw.shutdown(socket.SHUT_WR)
        answer = b""
        while data := raw.recv(65536):
            answer += data
        return answer


def test_what_comes_behind_a_request_does_not_spoil_its_answer(
    start_server: Callable[..., Served], caplog: pytest.LogCaptureFixture
) -> None:
    with start_server() as server:
        for segments in (
            (ALIVE,), (ALIVE + ALIVE,), (ALIVE, ALIVE), (ALIVE + b"\x00\xffGarbage" * 9,),
            (ALIVE[:-1], ALIVE[-1:] + ALIVE), (ALIVE[:-3], ALIVE[-3:] + b"\x81\x85"),
            tuple(ALIVE[n : n + 1] for n in range(len(ALIVE))), (ALIVE + b"GET /metrics",),
        ):  # fmt: skip
            for half in (False, True):
                answer = ask(server, *segments, half=half)
                assert answer.startswith(b"HTTP/1.1 200 OK\r\n"), segments
                assert answer.endswith(b"\r\n\r\nalive\n")
                assert answer.count(b"HTTP/1.1") == 1
        with socket.create_connection(("127.0.0.1", server.port), timeout=WAIT) as raw:
            raw.sendall(UPGRADE + b"\x81\x82\0\0\0\0{}")  # a hello in the same segment
            answer = b""
            while b"mode" not in answer and (data := raw.recv(65536)):
                answer += data
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert b"error" in answer  # of our own: the hello was read, and says too little
    assert [r for r in caplog.records if r.levelname in ("ERROR", "CRITICAL")] == []


@pytest.mark.parametrize(
    ("line", "status", "body"),
    [
        (b"GET /healthz?x", 200, b"alive\n"),
        (b"GET /healthz?x=/readyz#y", 200, b"alive\n"),
        (b"GET http://a:1/readyz?now", 200, b"ready\n"),
        (b"HEAD /healthz", 200, b""),
        (b"HEAD /nowhere?x", 404, b""),
        (b"HEAD /stream", 405, None),
        (b"POST /healthz", 405, b"ask with GET\n"),
        (b"OPTIONS *", 405, b"ask with GET\n"),
        (b"GET /healthz/", 404, b"streams are at /stream\n"),
        (b"GET //[", 400, b"no such address\n"),
        (b"GET /stream?x", 426, None),
        (b"GET /" + b"a" * 20_000, 414, None),
    ],
)
def test_requests_and_their_answers(
    start_server: Callable[..., Served], line: bytes, status: int, body: bytes | None
) -> None:
    with start_server() as server:
        head, _, rest = ask(server, line + b" HTTP/1.1\r\nHost: a\r\n\r\n").partition(b"\r\n\r\n")
        assert head.split(b" ")[1] == str(status).encode()
        assert body is None or rest == body


@pytest.mark.parametrize(
    "request_",
    [b"GET /healthz HTTP/1.1\r\nX: " + b"a" * 20_000, b"GET /healthz", b"\x16\x03\x01\0\0",
     b"POST /healthz HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", b"GET /healthz HTTP/1.1\n\n",
     b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\r\n\r\n", b"GET /h\xc3\xa9 HTTP/1.1\r\n\r\n"],
)  # fmt: skip
def test_requests_that_are_none_end_in_time_and_in_silence(
    start_server: Callable[..., Served], request_: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with start_server(hello=0.5) as server:
        assert not ask(server, request_).startswith(b"HTTP/1.1 200")
        assert ask(server, ALIVE).endswith(b"alive\n")
    assert [r for r in caplog.records if r.levelname in ("ERROR", "CRITICAL")] == []


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
