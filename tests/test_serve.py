"""`audiodec serve`: many clients, each hears itself and nobody else, whatever the others do."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

import audiodec
from audiodec.errors import ConfigError

websockets = pytest.importorskip("websockets")
pytest.importorskip("prometheus_client")

from websockets.exceptions import InvalidStatus  # noqa: E402
from websockets.frames import Frame, Opcode  # noqa: E402
from websockets.sync.client import connect  # noqa: E402

from audiodec.serve.limits import Limits  # noqa: E402
from audiodec.serve.messages import Close, Hello, RequestError, parse, read_tokens  # noqa: E402
from audiodec.serve.offer import Offer  # noqa: E402
from audiodec.serve.pcm import to_pcm  # noqa: E402
from audiodec.serve.server import serve  # noqa: E402
from tests.serve_tools import UPGRADE, WAIT, Served, noise, refusal, through  # noqa: E402

# Streams over sockets


def test_clients_at_once_each_get_their_own_sound(
    start_server: Callable[..., Served], small: audiodec.Codec
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

    with start_server() as server, ThreadPoolExecutor(6) as clients:
        list(clients.map(one, range(6)))
        assert server.count('audiodec_closed_total{reason="end"}') == 12
        server.wait_for('audiodec_streams{mode="decode"}', 0)


def test_bitrate_changes_in_mid_stream(
    start_server: Callable[..., Served], small: audiodec.Codec
) -> None:
    low, high = small.bitrates[0], small.bitrates[-1]
    with start_server() as server, server.stream(mode="encode", bitrate=low) as (client, _):
        for bitrate in (low, high, low):
            client.send(json.dumps({"bitrate": bitrate}))
            client.send(to_pcm(noise(0, 160)[None], "s16"))
            assert len(client.recv(WAIT)) == len(small.encoder(bitrate).write(noise(0, 160))[0])
        client.send(json.dumps({"bitrate": 17}))
        code, reason = refusal(client)
        assert code == Close.INVALID
        assert "17 kbps is not offered" in reason


def test_two_models_are_chosen_by_rate(
    start_server: Callable[..., Served],
    small: audiodec.Codec,
    codec: audiodec.Codec,
    speech: np.ndarray,
) -> None:
    with start_server(small, codec) as server:
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
    start_server: Callable[..., Served], small: audiodec.Codec
) -> None:
    def frame(kind: Opcode, data: bytes) -> bytes:
        return Frame(kind, data).serialize(mask=True)

    packets = small.encoder().write(noise(0, 16000))
    with start_server(idle=2, rate=10_000_000) as server, socket.socket() as deaf:
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


def test_too_many_streams(start_server: Callable[..., Served]) -> None:
    with start_server(streams=2) as server:
        one, two, three = (server.stream(mode=mode) for mode in ("encode", "decode", "encode"))
        with one, two, three as (client, error):
            assert "all streams are taken" in error["error"]
            assert refusal(client)[0] == Close.FULL
        for mode in ("encode", "decode"):
            server.wait_for(f'audiodec_streams{{mode="{mode}"}}', 0)
        with server.stream(mode="encode") as (_, agreed):
            assert agreed["mode"] == "encode"
        assert server.count('audiodec_refused_total{reason="full"}') == 1


def test_messages_that_are_too_long(start_server: Callable[..., Served]) -> None:
    with start_server(message=4096) as server:
        with server.stream(mode="encode") as (client, _):
            client.send(bytes(4098))
            assert refusal(client)[0] == Close.TOO_LONG
        with server.stream(mode="encode") as (client, _):
            assert through(client, [bytes(4096)])[1]["packets"] == -(-2048 // 160)


def test_streams_that_fall_silent(start_server: Callable[..., Served]) -> None:
    with start_server(idle=0.5, hello=0.5) as server:
        with server.stream(mode="encode") as (client, _):
            assert refusal(client) == (Close.IDLE, "nothing was sent for too long")
        with connect(server.url) as client:
            assert refusal(client) == (Close.IDLE, "no hello in time")


def test_bytes_beyond_the_rate_wait(start_server: Callable[..., Served]) -> None:
    with start_server(rate=40_000) as server, server.stream(mode="encode") as (client, _):
        started = time.monotonic()
        packets, _ = through(client, 5 * [bytes(20_000)])
        assert len(packets) == -(-50_000 // 160)
        assert time.monotonic() - started > 1  # 100 kB: one second's worth at once, then wait


@pytest.mark.parametrize("token", ["", "wrong", "secret-tokem", "secret-token ", "\ud800"])
def test_wrong_tokens_are_refused(start_server: Callable[..., Served], token: str) -> None:
    with start_server(tokens=("other", "secret-token")) as server:
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


def test_without_tokens_only_this_machine_and_no_web_page(
    start_server: Callable[..., Served],
) -> None:
    with pytest.raises(ConfigError, match="tokens"):
        asyncio.run(serve(Offer([], Limits(), []), "0.0.0.0", 0, asyncio.Event()))
    with start_server() as server, pytest.raises(InvalidStatus):
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
