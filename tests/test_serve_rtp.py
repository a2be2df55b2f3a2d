"""The RTP front of `audiodec serve`: the same sound, and the same rules, as over the WebSocket."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import audiodec

websockets = pytest.importorskip("websockets")
pytest.importorskip("prometheus_client")
pytest.importorskip("pylibsrtp")

from websockets.sync.client import connect  # noqa: E402

from audiodec.call.network import Link, every, gilbert, run  # noqa: E402
from audiodec.rtp.payload import Payloader, Redundancy  # noqa: E402
from audiodec.rtp.receiver import Receiver, Reception  # noqa: E402
from audiodec.rtp.sender import Sender  # noqa: E402
from audiodec.rtp.silence import describe  # noqa: E402
from audiodec.serve.batch import DecoderBatch  # noqa: E402
from audiodec.serve.reorder import MAX_GAP_S, MAX_REORDER_DATAGRAMS, Reorder  # noqa: E402
from audiodec.sound.simulated import SimulatedClock  # noqa: E402
from tests.serve_rtp_tools import NOISE, RtpClient, heard_of, rounded, rtp_stream  # noqa: E402
from tests.serve_tools import WAIT, Served, noise, refusal  # noqa: E402

MOST_TRIES = 6  # a machine that pauses is too late for its packets; then a stream is tried again
STEP = 1.5e-4  # half a step of 16 bits, and 1e-4 by which batches may differ


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
    clock, format, streams = SimulatedClock(), small.config.packet_format(3), 3
    size, batch = format.samples, DecoderBatch(small.runtime, streams)
    alone = [Receiver(small.decoder(3), format, ssrc) for ssrc in range(streams)]
    together = [Reception(format, ssrc) for ssrc in range(streams)]
    started = [False] * streams

    def speak(ssrc: int) -> Callable[[], None]:
        payloader = Payloader(format, Redundancy((2 + ssrc,), 2))
        sender = Sender(small.encoder(None, 1, 3), payloader, ssrc, dtx=ssrc == 0)
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
                started[ssrc] |= packet.packet is not None
                audio = np.zeros(size, np.float32)
                if started[ssrc]:
                    audio = batch.decode(rows, [[packet]], format)[0, 0]
                decoded.append(audio)
            np.testing.assert_allclose(each.sound(turn, decoded), expected[ssrc], atol=2e-4)

    for ssrc in range(streams):
        every(clock, format.seconds, speak(ssrc))
    every(clock, format.seconds, listen, 0.004)
    run(clock, 99 * format.seconds)
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
            assert len(reorder._held) <= MAX_REORDER_DATAGRAMS
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
    far = round(MAX_GAP_S * 16000) + 101
    blocks = [reorder.receive(at, sound[:100]) for at in (0, far, far - 100, 5, 2**31, 50)]
    assert [sum(map(len, each)) for each in blocks] == [100, 100, 0, 100, 100, 100]


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


def test_a_taken_udp_port_is_one_line(small_folder: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        result = subprocess.run(
            [sys.executable, "-m", "audiodec", "serve", "--port", port, "--model", small_folder],
            capture_output=True, text=True, timeout=WAIT,
        )  # fmt: skip
    assert result.returncode == 1
    assert result.stderr.startswith(f"audiodec: error: no RTP at 127.0.0.1, UDP port {port}: ")
    assert "Traceback" not in result.stderr
