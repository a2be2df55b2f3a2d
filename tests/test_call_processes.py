"""Calls between real sockets, processes and WebRTC connections of this machine."""

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
from pathlib import Path

import numpy as np
import pytest
import soundfile

import audiodec
from audiodec.call.endpoint import Endpoint
from audiodec.call.keys import make_key
from audiodec.call.network import gilbert
from audiodec.call.transport import talk
from audiodec.sound.voices import Muted, file_source
from tests.call_tools import PERIOD, fake_codec
from tests.conftest import SPEECH

pytestmark = pytest.mark.xdist_group("real time")  # one after another


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
    command = [sys.executable, "-m", "audiodec", "call", "--bind", f"127.0.0.1:{listen}",
               "--to", f"127.0.0.1:{to}", *map(str, options)]  # fmt: skip
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | keys
    )


def finish(*ends: subprocess.Popen[str]) -> list[dict[str, float]]:
    """Wait for both ends; their summaries."""
    results = [end.communicate(timeout=120) for end in ends]
    assert [end.returncode for end in ends] == [0, 0], [errors for _, errors in results]
    return [json.loads(out) for out, _ in results]


@pytest.mark.optional  # it listens only on a machine idle enough for two calls in real time
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
        (["--bind", "here", "--to", f"127.0.0.1:{b}"], "--bind needs HOST:PORT"),
        (["--bind", f"0.0.0.0:{a}", "--to", f"192.0.2.1:{b}"], "a call needs a key"),
        (["--bind", f"127.0.0.1:{a}", "--to", f"127.0.0.1:{b}", "--wait", "0.3", "--input",
          "none", "--output", "none"], "no answer within 0.3 s"),
        (["--bind", f"127.0.0.1:{a}", "--to", f"127.0.0.1:{b}", "--input", "missing.wav"],
         "missing.wav cannot be read"),
        (["keygen", str(tmp_path)], "exists already"),
    ]  # fmt: skip
    for arguments, words in cases:
        command = [sys.executable, "-m", "audiodec", "call", *arguments]
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert result.returncode == 1
        assert words in result.stderr
        assert "Traceback" not in result.stderr


@pytest.mark.parametrize("dtx", [False, True])
@pytest.mark.parametrize("says", [True, False])
def test_a_call_through_webrtc(says: bool, dtx: bool, tmp_path: Path) -> None:
    """Every packet is received or counted; an end whose file is empty says nothing at all."""
    aiortc = pytest.importorskip("aiortc")
    from audiodec.call.webrtc import DataChannel, create_channel

    path = SPEECH
    if not says:
        path = tmp_path / "empty.wav"
        soundfile.write(path, np.zeros(0), 48_000)

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
            other = await asyncio.wait_for(arrived, 300)
            await asyncio.wait_for(opened, 300)
            assert not other.ordered
            assert other.maxRetransmits == 0
            a, b = Endpoint(fake_codec(), dtx=dtx), Endpoint(fake_codec(), dtx=dtx)
            with file_source(str(path), a.rate) as source:
                speaks = talk(a, DataChannel(channel), source, Muted(), 300)
                listens = talk(b, DataChannel(other), Muted(), Muted(), 300)
                await asyncio.wait_for(asyncio.gather(speaks, listens), 600)
            return a, b
        finally:
            await caller.close()
            await called.close()

    ends = asyncio.run(converse())
    spoke, listened = (end.summary(time.monotonic()) for end in ends)
    packets = -(-soundfile.info(path).duration // PERIOD)
    assert spoke["sent"] == packets or (dtx and 0 < spoke["sent"] < packets)
    assert listened["received"] + listened["lost"] == spoke["sent"]
    assert listened["received"] >= 0.9 * spoke["sent"]
    assert listened["sent"] > 0
    assert spoke["received"] + spoke["lost"] <= listened["sent"]
    assert (listened["invalid"], listened["foreign"], listened["refused"]) == (0, 0, 0)
    assert listened["played"] >= 0.5 * spoke["sent"] * (not dtx)
