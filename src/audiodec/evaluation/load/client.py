"""A client of a server of streams that speaks in real time and checks what comes back."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from audiodec.arrays import Samples
from audiodec.evaluation.load.voices import Voice
from audiodec.rtp.packet import RtpPacket
from audiodec.rtp.payload import Form, from_bytes
from audiodec.rtp.srtp import Srtp
from audiodec.serve.pcm import FULL_SCALE
from audiodec.serve.rtp_carrier import MAX_L16_SAMPLES

Kind = Literal["encode", "decode", "rtp"]
TOLERANCE = 4 / FULL_SCALE  # of decoded sound: rounding to 16 bits, and of sums in another order
MAX_FAREWELL_S = 1.0  # seconds for the closing handshake
MAX_WAIT_S = 30.0  # seconds for an answer


class LoadError(Exception):
    """What a client got is not what it had to get."""


class Client:
    """One stream of a voice, in real time.

    Args:
        period: seconds of a packet.
        on_latency: told, for each packet, the seconds from its last sample (or byte) to the answer.
    """

    def __init__(
        self, url: str, kind: Kind, voice: Voice, frames: int, period: float, token: str,
        on_latency: Callable[[float], object],
    ) -> None:  # fmt: skip
        self._url, self._kind, self._voice, self._token = url, kind, voice, token
        self._frames, self._period, self._on_latency = frames, period, on_latency
        self._sent: list[float] = []  # when
        self._received = self._spoken = 0  # packets, samples
        self._first_stamp: int | None = None
        self._wrong, self._dropped = "", False

    async def run(self, packets: int, until: asyncio.Event | None = None) -> str:
        """Speak so many packets, or until told; tell how it ended.

        Returns:
            "complete", or why the server refused or closed.

        Raises:
            LoadError: something was wrong or is missing.
            OSError, TimeoutError: no connection, or no answer.
        """
        async with connect(
            self._url,
            compression=None,
            ping_interval=None,
            open_timeout=MAX_WAIT_S,
            close_timeout=MAX_FAREWELL_S,
        ) as socket:
            agreed = await self.greet(socket)
            if "error" in agreed:
                return f"refused: {agreed['error']}"
            speak = self._over_rtp if self._kind == "rtp" else self._over_websocket
            return await speak(socket, agreed, packets, until or asyncio.Event())

    async def greet(self, socket: ClientConnection) -> dict[str, Any]:
        """Ask for the stream; gives the answer."""
        mode = "encode" if self._kind == "rtp" else self._kind
        hello: dict[str, Any] = {"mode": mode, "frames": self._frames}
        hello |= {"transport": "rtp"} if self._kind == "rtp" else {}
        hello |= {"token": self._token} if self._token else {}
        await socket.send(json.dumps(hello))
        async with asyncio.timeout(MAX_WAIT_S):
            return dict(json.loads(await socket.recv()))

    async def _over_websocket(
        self, socket: ClientConnection, _: dict[str, Any], packets: int, until: asyncio.Event
    ) -> str:
        listening = asyncio.create_task(self._listen(socket))
        messages = self._voice.sound if self._kind == "encode" else self._voice.packets
        try:
            await self._pace(messages[:packets], until, socket.send)
            with suppress(ConnectionClosed):
                await socket.send(json.dumps({"end": True}))
            async with asyncio.timeout(MAX_WAIT_S):
                told = await listening
        except ConnectionClosed as closed:
            return _why(closed)
        finally:
            listening.cancel()
        if told != len(self._sent) or self._received != len(self._sent):
            raise LoadError(
                f"{len(self._sent)} packets sent, {told} coded, {self._received} received"
            )
        return "complete"

    async def _listen(self, socket: ClientConnection) -> int:
        """Check all that comes; gives the number of packets that the server tells at the end."""
        async for message in socket:
            if isinstance(message, str):
                said = json.loads(message)
                if "end" in said:
                    return int(said["packets"])
            elif self._kind == "encode":
                if message != self._voice.packets[self._received]:
                    raise LoadError(f"packet {self._received} is not this voice's")
                self._answered(self._received)
            else:
                self._check(
                    np.frombuffer(message, "<i2").astype(np.float32) / np.float32(FULL_SCALE)
                )
        raise LoadError("the server closed without its last word")

    def _check(self, sound: Samples) -> None:
        size = self._voice.format.samples
        start = self._received * size
        off = np.abs(sound - self._voice.decoded[start : start + len(sound)]).max()
        if off > TOLERANCE:
            raise LoadError(f"sound at packet {self._received} is off by {off:.2g}")
        for _ in range(len(sound) // size):
            self._answered(self._received)

    async def _over_rtp(
        self, socket: ClientConnection, agreed: dict[str, Any], packets: int, until: asyncio.Event
    ) -> str:
        rtp, size = agreed["rtp"], len(self._voice.sound[0]) // 2
        key, number = base64.b64decode(rtp["key"]), 0
        self._guard = Srtp(key, key, rtp["ssrc"], rtp["server_ssrc"])
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Datagrams(self._take_datagram),
            remote_addr=(socket.remote_address[0], rtp["port"]),
        )

        async def send(sound: bytes) -> None:
            nonlocal number
            samples = np.frombuffer(sound, "<i2").astype(">i2")
            for piece in np.array_split(samples, -(-size // MAX_L16_SAMPLES)):
                packet = RtpPacket(
                    rtp["sound"], number & 0xFFFF, self._spoken, rtp["ssrc"], piece.tobytes()
                )
                transport.sendto(self._guard.protect(packet.to_bytes()))
                self._spoken += len(piece)
                number += 1

        try:
            await self._pace(self._voice.sound[:packets], until, send)
            await socket.send(json.dumps({"end": True}))
            async with asyncio.timeout(MAX_WAIT_S):
                while not json.loads(await socket.recv()).get("end"):
                    pass
        except ConnectionClosed as closed:
            return _why(closed)
        finally:
            transport.close()
        if self._wrong:
            raise LoadError(self._wrong)
        if self._dropped:
            return "complete, some sound was dropped on the way"
        return (
            "complete" if self._received >= len(self._sent) else "complete, some packets are lost"
        )

    def _take_datagram(self, datagram: bytes) -> None:
        packet = RtpPacket.parse(self._guard.open(datagram))
        format = self._voice.format
        if self._first_stamp is None:
            self._first_stamp = packet.timestamp
        index = ((packet.timestamp - self._first_stamp) & 0xFFFFFFFF) // format.samples
        came = from_bytes(packet.payload, format, Form.OLDER).packet
        if index < len(self._sent):
            # Where sound was dropped, which RTP may do, what follows is coded otherwise.
            self._dropped |= came != self._voice.packets[index]
            if came in self._voice.foreign:
                self._wrong = f"packet {index} is another voice's"
            self._answered(index)

    async def _pace(
        self, messages: list[bytes], until: asyncio.Event, send: Callable[[bytes], Any]
    ) -> None:
        """Send messages at the times at which their last sample would be spoken."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        for number, message in enumerate(messages, 1):
            due = start + number * self._period
            if until.is_set():
                return
            await asyncio.sleep(due - loop.time())
            self._sent.append(loop.time())
            await send(message)

    def _answered(self, index: int) -> None:
        self._received += 1
        self._on_latency(asyncio.get_running_loop().time() - self._sent[index])


class _Datagrams(asyncio.DatagramProtocol):
    """Gives datagrams away as they come."""

    def __init__(self, take: Callable[[bytes], object]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._take(data)


def _why(closed: ConnectionClosed) -> str:
    return f"closed: {closed.rcvd.code} {closed.rcvd.reason}" if closed.rcvd else "closed: cut off"
