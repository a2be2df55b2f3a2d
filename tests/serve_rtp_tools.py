"""The client's side of streams over RTP."""

from __future__ import annotations

import base64
import itertools
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pylibsrtp")
websockets = pytest.importorskip("websockets")

from websockets.sync.client import ClientConnection  # noqa: E402

from audiodec.bitstream.packet import PacketFormat  # noqa: E402
from audiodec.rtp.packet import RtpPacket  # noqa: E402
from audiodec.rtp.payload import Form, Payload, from_bytes, to_bytes  # noqa: E402
from audiodec.rtp.srtp import Srtp  # noqa: E402
from audiodec.serve.pcm import to_pcm  # noqa: E402
from tests.serve_tools import WAIT, Served  # noqa: E402

SOUND, SPEECH, NOISE = 96, 97, 98


class RtpClient:
    """The client's side of an RTP stream, with a socket of its own."""

    def __init__(self, control: ClientConnection, agreed: dict[str, Any]) -> None:
        self.control, self.agreed, rtp = control, agreed, agreed["rtp"]
        self.rtp, self.frames, self.size = rtp, agreed["frames"], agreed["frames"] * agreed["hop"]
        self.format = PacketFormat(self.frames, 4, 8, agreed["hop"], 16000)  # the small model's
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
        payload = to_bytes(Payload(packet, {}), self.format, Form.OLDER)
        return self.packet(SPEECH, payload, self.size)

    def send(self, datagram: bytes) -> None:
        self.socket.sendto(datagram, self.to)

    def receive(self, own: socket.socket | None = None) -> RtpPacket:
        packet = RtpPacket.parse(self.guard.open((own or self.socket).recv(2000)))
        assert packet.ssrc == self.rtp["server_ssrc"]
        return packet

    def encoded(self, count: int) -> list[bytes]:
        """The next packets that the server has encoded."""
        found = [from_bytes(self.receive().payload, self.format, Form.OLDER) for _ in range(count)]
        assert not any(payload.redundant for payload in found)
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
