"""`audiodec serve`: many clients, each hears itself and nobody else, whatever the others do."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import audiodec
from audiodec.errors import AudioError, ConfigError, FormatError

websockets = pytest.importorskip("websockets")
pytest.importorskip("prometheus_client")

from websockets.exceptions import ConnectionClosed, InvalidStatus  # noqa: E402
from websockets.frames import Frame, Opcode  # noqa: E402
from websockets.sync.client import ClientConnection, connect  # noqa: E402

from audiodec.bitstream.packet import pack, unpack  # noqa: E402
from audiodec.serve.batch import DecoderBatch, EncoderBatch  # noqa: E402
from audiodec.serve.limits import Limits  # noqa: E402
from audiodec.serve.messages import Close, Hello, RequestError, parse, read_tokens  # noqa: E402
from audiodec.serve.packets import check_packet, pack_all, unpack_all  # noqa: E402
from audiodec.serve.pcm import from_pcm, to_pcm  # noqa: E402
from audiodec.serve.server import serve  # noqa: E402

UPGRADE = (
    b"GET /stream HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
WAIT = 60  # seconds after which a test gives up; nothing asserts how long anything takes


class Served:
    """A server in a thread."""

    def __init__(self, codecs: list[audiodec.Codec], limits: Limits, tokens: list[str]) -> None:
        self.url = ""
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(codecs, limits, tokens))

    def _run(self, codecs: list[audiodec.Codec], limits: Limits, tokens: list[str]) -> None:
        async def main() -> None:
            self._stop, self._loop = asyncio.Event(), asyncio.get_running_loop()
            runtimes = [codec.runtime for codec in codecs]
            await serve(runtimes, "127.0.0.1", 0, limits, tokens, self._stop, self._started)

        asyncio.run(main())

    def _started(self, url: str) -> None:
        self.url = url
        self._ready.set()

    def __enter__(self) -> Served:
        self._thread.start()
        assert self._ready.wait(WAIT)
        return self

    def stop(self) -> None:
        with suppress(RuntimeError):  # it has stopped
            self._loop.call_soon_threadsafe(self._stop.set)

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._thread.join(WAIT)
        assert not self._thread.is_alive(), "the server does not stop"

    @property
    def port(self) -> int:
        return int(self.url.removesuffix("/stream").rsplit(":", 1)[1])

    def page(self, path: str) -> str:
        address = self.url.replace("ws:", "http:").replace("/stream", path)
        with urllib.request.urlopen(address, timeout=WAIT) as response:
            return response.read().decode()

    def count(self, name: str) -> float:
        """A metric, labels and all."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.page("/metrics"), re.MULTILINE)
        return float(found[1]) if found else 0.0

    def wait_for(self, name: str, value: float) -> None:
        for _ in range(10 * WAIT):
            if self.count(name) == value:
                return
            time.sleep(0.1)
        raise AssertionError(f"{name} is {self.count(name)}, not {value}")

    def connect(self) -> ClientConnection:
        """A client that gives a machine that pauses all its time."""
        return connect(self.url, compression=None, open_timeout=WAIT, ping_interval=None)

    @contextmanager
    def stream(self, **hello: Any) -> Iterator[tuple[ClientConnection, dict[str, Any]]]:
        with self.connect() as client:
            client.send(json.dumps(hello))
            yield client, json.loads(client.recv(WAIT))


@pytest.fixture
def start(small: audiodec.Codec) -> Callable[..., Served]:
    def starter(*codecs: audiodec.Codec, tokens: tuple[str, ...] = (), **limits: Any) -> Served:
        return Served(list(codecs) or [small], Limits(**{"drain": 5, **limits}), list(tokens))

    return starter


def through(client: ClientConnection, messages: list[bytes]) -> tuple[list[bytes], dict[str, Any]]:
    """Send everything and the end; what comes back."""

    def send() -> None:
        for message in messages:
            client.send(message)
        client.send(json.dumps({"end": True}))

    sender = threading.Thread(target=send)
    sender.start()
    received: list[bytes] = []
    while isinstance(message := client.recv(WAIT), bytes):
        received.append(message)
    sender.join(WAIT)
    return received, json.loads(message)


def refusal(client: ClientConnection) -> tuple[int, str]:
    """The code with which the server closes, and the reason."""
    with suppress(ConnectionClosed):
        while True:
            client.recv(WAIT)
    assert client.close_code is not None
    return client.close_code, client.close_reason or ""


def noise(seed: int, samples: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


# The batch


def test_packets_of_many_streams_are_those_of_one() -> None:
    rng = np.random.default_rng(0)
    for bits, frames in ((10, 1), (10, 3), (8, 2), (3, 3)):
        codes = rng.integers(1 << bits, size=(9, 5, 4 * frames))
        stages = rng.integers(1, 6, size=9)
        packed = pack_all(codes, stages, frames, bits)
        for own, count, packets in zip(codes, stages, packed, strict=True):
            pieces = np.split(own[:count], 4, axis=1)
            assert packets == [pack(piece, bits) for piece in pieces]
            for packet, piece in zip(packets, pieces, strict=True):
                assert check_packet(packet, frames, bits, 5) == count
                np.testing.assert_array_equal(unpack(packet, frames, int(count), bits), piece)
        flat = [packet for packets in packed for packet in packets]
        unpacked = unpack_all(flat, frames, bits, 5)
        for i, count in enumerate(np.repeat(stages, 4)):
            own = codes[i // 4, :, i % 4 * frames : (i % 4 + 1) * frames]
            np.testing.assert_array_equal(unpacked[i, :count], own[:count])
            assert (unpacked[i, count:] == -1).all()


def test_packets_are_checked_as_a_decoder_checks_them() -> None:
    for packet in (b"", b"\x00", b"\x00\x00\x01", bytes(11), bytes(100)):
        with pytest.raises(FormatError):
            check_packet(packet, 1, 10, 8)
    assert check_packet(b"\xff\xc0", 1, 10, 8) == 1


@pytest.mark.parametrize("name", ["small", "codec"])
def test_streams_in_a_batch_sound_as_they_do_alone(
    name: str, speech: np.ndarray, request: pytest.FixtureRequest
) -> None:
    """Streams of different bitrates that skip ticks, lose packets and change rows' neighbours."""
    codec: audiodec.Codec = request.getfixturevalue(name)
    rng, frames, ticks, streams = np.random.default_rng(0), 2, 30, 6
    size, most = frames * codec.hop, len(codec.bitrates)
    stages = np.array([1 + i % most for i in range(streams)])
    sounds = [np.roll(speech, 9000 * i)[: ticks * size] for i in range(streams)]
    lost = rng.random((streams, ticks)) < 0.3
    lost[:, 0] = False
    alone: list[list[bytes]] = []
    heard: list[np.ndarray] = []
    for sound, count, gaps in zip(sounds, stages, lost, strict=True):
        alone.append(codec.encoder(codec.bitrates[count - 1], 1, frames).write(sound))
        decoder = codec.decoder(frames)
        pieces = zip(alone[-1], gaps, strict=True)
        heard.append(np.concatenate([decoder.decode(None if g else p) for p, g in pieces]))
    encoder, decoder = (
        kind(codec.runtime, streams + 2)  # type: ignore[arg-type]
        for kind in (EncoderBatch, DecoderBatch)
    )
    rows = rng.permutation(streams + 2)[:streams]
    packets: list[list[bytes]] = [[] for _ in range(streams)]
    output: list[list[np.ndarray]] = [[] for _ in range(streams)]
    at = np.zeros(streams, int)
    while at.min() < ticks:
        active = np.flatnonzero((at < ticks) & (rng.random(streams) < 0.8))
        if not len(active):
            continue
        count = int(min(ticks - at[active].max(), rng.integers(1, 4)))  # packets in one call
        audio = np.stack([sounds[i][at[i] * size : (at[i] + count) * size] for i in active])
        found = encoder.encode(rows[active], audio[:, None], stages[active], frames)
        given = [
            [None if lost[i, n] else alone[i][n] for n in range(at[i], at[i] + count)]
            for i in active
        ]
        sound = decoder.decode(rows[active], given, frames)
        for i, own, piece in zip(active, found, sound, strict=True):
            packets[i] += own
            output[i].append(piece[0])
        at[active] += count
    for i in range(streams):
        assert packets[i] == alone[i]
        np.testing.assert_allclose(np.concatenate(output[i]), heard[i], atol=1e-4)


def test_a_row_that_is_given_away_starts_anew(small: audiodec.Codec) -> None:
    encoder = EncoderBatch(small.runtime, 2)  # type: ignore[arg-type]
    rows, stages = np.array([0, 1]), np.array([4, 4])
    sound = noise(0, 160)[None, None].repeat(2, axis=0)
    first = encoder.encode(rows, sound, stages, 1)
    second = encoder.encode(rows, sound, stages, 1)
    encoder.reset(rows[:1])
    third = encoder.encode(rows, sound, stages, 1)
    assert first[0] == first[1] == third[0]
    assert second[0] != first[0]
    assert third[1] != first[1]


def test_pcm_there_and_back() -> None:
    samples = np.stack([noise(0, 50), noise(1, 50)])
    np.testing.assert_array_equal(from_pcm(to_pcm(samples, "f32"), "f32", 2), samples)
    np.testing.assert_allclose(from_pcm(to_pcm(samples, "s16"), "s16", 2), samples, atol=2e-5)
    assert to_pcm(np.array([[1, -1]], np.float32), "s16") == b"\xff\x7f\x00\x80"
    for data, kind in ((b"123", "s16"), (b"12345", "f32"), (b"\x00\x00\x80\x7f", "f32")):
        with pytest.raises(AudioError):
            from_pcm(data, kind, 1)


# Streams over sockets


def test_clients_at_once_each_get_their_own_sound(
    start: Callable[..., Served], small: audiodec.Codec
) -> None:
    kinds = [(bitrate, frames) for bitrate in small.bitrates[::3] for frames in (1, 3)]

    def one(number: int) -> None:
        bitrate, frames = kinds[number % len(kinds)]
        sound = noise(number, 16000 + 77 * number)
        encoder, decoder = small.encoder(bitrate, 1, frames), small.decoder(frames)
        expected = encoder.write(sound) + encoder.drain()
        hello = {"format": "f32", "frames": frames, "rate": 16000}
        with server.stream(mode="encode", bitrate=bitrate, **hello) as (client, agreed):
            assert agreed["bitrate"] == bitrate
            assert agreed["hop"] == 160
            pieces = [sound[i : i + 500].tobytes() for i in range(0, len(sound), 500)]
            packets, end = through(client, pieces)
        assert packets == expected
        assert end == {"end": True, "packets": len(expected)}
        lossy = [None, *packets[:40], None, None, *packets[42:]]
        with server.stream(mode="decode", **hello) as (client, _):
            received, end = through(client, [packet or b"" for packet in lossy])
        assert end["packets"] == len(lossy)
        heard = np.frombuffer(b"".join(received), np.float32)
        alone = np.concatenate([decoder.decode(packet) for packet in lossy])
        np.testing.assert_allclose(heard, alone, atol=1e-4)

    with start() as server, ThreadPoolExecutor(6) as clients:
        list(clients.map(one, range(6)))
        assert server.count('audiodec_closed_total{reason="end"}') == 12
        server.wait_for('audiodec_streams{mode="decode"}', 0)


def test_bitrate_changes_in_mid_stream(start: Callable[..., Served], small: audiodec.Codec) -> None:
    low, high = small.bitrates[0], small.bitrates[-1]
    with start() as server, server.stream(mode="encode", bitrate=low) as (client, _):
        for bitrate in (low, high, low):
            client.send(json.dumps({"bitrate": bitrate}))
            client.send(to_pcm(noise(0, 160)[None], "s16"))
            assert len(client.recv(WAIT)) == len(small.encoder(bitrate).write(noise(0, 160))[0])
        client.send(json.dumps({"bitrate": 17}))
        code, reason = refusal(client)
        assert code == Close.INVALID
        assert "17 kbps is not offered" in reason


def test_two_models_are_chosen_by_rate(
    start: Callable[..., Served], small: audiodec.Codec, codec: audiodec.Codec, speech: np.ndarray
) -> None:
    with start(small, codec) as server:
        with server.stream(mode="encode") as (_, agreed):
            assert agreed["rate"] == 16000
        with server.stream(mode="encode", rate=48000, format="f32") as (client, agreed):
            assert agreed["model"] == codec.info.id
            sound = speech[:12000]
            packets, _ = through(client, [sound.tobytes()])
        encoder = codec.encoder()
        assert packets == encoder.write(sound) + encoder.drain()
        with server.stream(mode="encode", rate=44100) as (client, error):
            assert "choose 16000, 48000" in error["error"]
            assert refusal(client)[0] == Close.INVALID


def test_a_client_that_stops_reading_stops_only_itself(
    start: Callable[..., Served], small: audiodec.Codec
) -> None:
    def frame(kind: Opcode, data: bytes) -> bytes:
        return Frame(kind, data).serialize(mask=True)

    packets = small.encoder().write(noise(0, 16000))
    with start(idle=2, rate=10_000_000) as server, socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(WAIT)
        deaf.connect(("127.0.0.1", server.port))
        deaf.sendall(UPGRADE + frame(Opcode.TEXT, b'{"mode": "decode"}'))
        sent = 0
        with suppress(ConnectionError):  # until the server has had enough
            while True:
                deaf.sendall(b"".join(frame(Opcode.BINARY, packet) for packet in packets))
                sent += 1
                if sent == 2:
                    with server.stream(mode="encode", format="f32") as (other, _):
                        assert through(other, [noise(0, 16000).tobytes()])[0] == packets
        server.wait_for('audiodec_closed_total{reason="idle"}', 1)
        # A second of sound in the outbox, and what sockets and their library hold.
        assert server.count('audiodec_packets_total{mode="decode"}') < 20 * len(packets)


# Limits


def test_too_many_streams(start: Callable[..., Served]) -> None:
    with start(streams=2) as server:
        one, two, three = (server.stream(mode=mode) for mode in ("encode", "decode", "encode"))
        with one, two, three as (client, error):
            assert "all streams are taken" in error["error"]
            assert refusal(client)[0] == Close.FULL
        for mode in ("encode", "decode"):
            server.wait_for(f'audiodec_streams{{mode="{mode}"}}', 0)
        with server.stream(mode="encode") as (_, agreed):
            assert agreed["mode"] == "encode"
        assert server.count('audiodec_refused_total{reason="full"}') == 1


def test_messages_that_are_too_long(start: Callable[..., Served]) -> None:
    with start(message=4096) as server:
        with server.stream(mode="encode") as (client, _):
            client.send(bytes(4098))
            assert refusal(client)[0] == Close.TOO_LONG
        with server.stream(mode="encode") as (client, _):
            assert through(client, [bytes(4096)])[1]["packets"] == -(-2048 // 160)


def test_streams_that_fall_silent(start: Callable[..., Served]) -> None:
    with start(idle=0.5, hello=0.5) as server:
        with server.stream(mode="encode") as (client, _):
            assert refusal(client) == (Close.IDLE, "nothing was sent for too long")
        with connect(server.url) as client:
            assert refusal(client) == (Close.IDLE, "no hello in time")


def test_bytes_beyond_the_rate_wait(start: Callable[..., Served]) -> None:
    with start(rate=40_000) as server, server.stream(mode="encode") as (client, _):
        started = time.monotonic()
        packets, _ = through(client, 5 * [bytes(20_000)])
        assert len(packets) == -(-50_000 // 160)
        assert time.monotonic() - started > 1  # 100 kB: one second's worth at once, then wait


@pytest.mark.parametrize("token", ["", "wrong", "secret-tokem", "secret-token ", "\ud800"])
def test_wrong_tokens_are_refused(start: Callable[..., Served], token: str) -> None:
    with start(tokens=("other", "secret-token")) as server:
        with server.stream(mode="encode", token=token) as (client, error):
            assert "error" in error
            assert refusal(client)[0] in (Close.DENIED, Close.INVALID)
        with server.stream(mode="encode", token="secret-token") as (_, agreed):
            assert agreed["mode"] == "encode"


def test_tokens_come_from_closed_files_and_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIODEC_TOKENS", "one two")
    assert read_tokens(None) == ["one", "two"]
    file = tmp_path / "tokens"
    file.write_text("three\nfour\n")
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_tokens(file)
    file.chmod(0o600)
    assert read_tokens(file) == ["one", "two", "three", "four"]
    file.write_text("\n")
    with pytest.raises(ConfigError, match="no token"):
        read_tokens(file)


def test_without_tokens_only_this_machine_and_no_web_page(start: Callable[..., Served]) -> None:
    with pytest.raises(ConfigError, match="tokens"):
        asyncio.run(serve([], "0.0.0.0", 0, Limits(), [], asyncio.Event()))
    with start() as server, pytest.raises(InvalidStatus):
        connect(server.url, origin="https://example.org").__enter__()


def test_hellos_that_ask_for_nonsense() -> None:
    good = {"mode": "encode", "bitrate": 12, "frames": 2}
    assert parse(Hello, json.dumps(good)).frames == 2
    for change in (
        {"mode": "both"}, {"frames": 0}, {"frames": 4}, {"frames": "1"}, {"bitrate": -1},
        {"bitrate": "12"}, {"format": "mp3"}, {"rate": 1.5}, {"token": 5}, {"more": 1},
        {"token": "x" * 600},
    ):  # fmt: skip
        with pytest.raises(RequestError):
            parse(Hello, json.dumps({**good, **change}))
    for text in ("", "{", "[]", "null", "[" * 4000, "9" * 4000, "x" * 5000, '{"mode":'):
        with pytest.raises(RequestError):
            parse(Hello, text)


# Operation


def test_pages(start: Callable[..., Served]) -> None:
    with start() as server:
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


def test_streams_that_never_end_are_cut_off_after_the_drain(start: Callable[..., Served]) -> None:
    with start(drain=0.3) as server, server.stream(mode="encode") as (client, _):
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


# 100,000 take ten minutes: AUDIODEC_FUZZ=100000 pytest -m slow tests/test_serve.py
MANY = int(os.environ.get("AUDIODEC_FUZZ", "20000"))


@pytest.mark.parametrize("messages", [300, pytest.param(MANY, marks=pytest.mark.slow)])
def test_hostile_messages_reach_no_other_stream(
    start: Callable[..., Served], small: audiodec.Codec, messages: int
) -> None:
    encoder = small.encoder()
    packet = small.encoder().write(noise(1, 160))[0]
    attackers = 6
    with start(rate=10**8, idle=600, hello=WAIT) as server, ThreadPoolExecutor(attackers) as pool:
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


def test_bytes_that_are_no_websocket(start: Callable[..., Served]) -> None:
    rng = np.random.default_rng(0)
    with start(hello=2) as server:
        for number in range(60):
            before = UPGRADE if number % 2 else b"GET " * (number % 3)
            with socket.create_connection(("127.0.0.1", server.port), timeout=WAIT) as raw:
                raw.sendall(before + rng.bytes(int(rng.integers(1, 3000))))
        assert server.page("/healthz") == "alive\n"
        with server.stream(mode="encode") as (client, _):
            assert through(client, [bytes(320)])[1]["packets"] == 1
