"""The RTP front: sound as L16 and packets as payloads of a call, in SRTP beside the WebSocket."""

from __future__ import annotations

import asyncio
import base64
import secrets
from abc import ABC, abstractmethod
from collections import deque
from typing import Any

import numpy as np

from audiodec.arrays import Samples
from audiodec.call.transport import MAX_BEHIND_S
from audiodec.errors import FormatError
from audiodec.rtp.packet import MAX_DATAGRAM, SPEECH, RtpPacket
from audiodec.rtp.payload import Form, Payload, to_bytes
from audiodec.rtp.receiver import Reception, Turn
from audiodec.serve.datagrams import Leg, ignore
from audiodec.serve.messages import Close, RequestError
from audiodec.serve.pcm import from_pcm, to_pcm
from audiodec.serve.reorder import Reorder
from audiodec.serve.streams import DecoderStream, EncoderStream

SOUND = 96  # payload type of L16, of the dynamic range
MAX_L16_SAMPLES = (MAX_DATAGRAM - 12 - 10) // 2  # beside an RTP header and an SRTP tag
MAX_WAITING_S = 0.5  # seconds of sound that may wait to be encoded
LINGER_S = 0.2  # seconds after the end in which what is still on the way may come
LEAD_S = 0.001  # seconds before a tick of the engine at which packets for it are pulled


class _Rtp(ABC):
    """A stream over RTP."""

    def __init__(self, leg: Leg) -> None:
        self._leg, self._timestamp = leg, secrets.randbelow(1 << 32)
        self._ended = asyncio.Event()
        leg.listener = self._receive

    @property
    def heard(self) -> float:
        return self._leg.heard

    async def take(self, message: bytes) -> None:
        raise RequestError("sound and packets of this stream travel by RTP", Close.INVALID)

    def end(self) -> None:
        self._ended.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as both:
            both.create_task(self._until_end())
            both.create_task(self._send())

    @abstractmethod
    def _receive(self, packet: bytes, now: float) -> None:
        """Take an authentic RTP packet. Raises AudioDecError when it does not fit the stream."""

    @abstractmethod
    async def _until_end(self) -> None:
        """Feed the stream, and end it."""

    @abstractmethod
    async def _send(self) -> None:
        """All output of the stream."""

    def agreed(self) -> dict[str, Any]:
        rtp = {
            "port": self._leg.port,
            "ssrc": self._leg.ssrc,
            "server_ssrc": self._leg.own,
            "key": base64.b64encode(self._leg.key).decode(),
            "sound": SOUND,
            "speech": SPEECH,
        }
        return {"format": "l16", "rtp": rtp}

    def account(self) -> dict[str, Any]:
        return {}


class RtpEncoder(_Rtp):
    """L16 in, payloads out. Nothing here waits: sound beyond the stream's inbox is dropped."""

    def __init__(self, leg: Leg, stream: EncoderStream) -> None:
        super().__init__(leg)
        self._stream = stream
        self._order = Reorder(stream.format.sample_rate)

    def _receive(self, packet: bytes, now: float) -> None:
        parsed = RtpPacket.parse(packet)
        if parsed.payload_type != SOUND:
            raise FormatError(f"payload type {parsed.payload_type} where sound is {SOUND}")
        samples = from_pcm(parsed.payload, "l16", 1)[0]
        self._offer(self._order.receive(parsed.timestamp, samples))

    def _offer(self, blocks: list[Samples]) -> None:
        for block in blocks:
            if not self._stream.offer(block[None]):
                self._leg.drop()

    async def _until_end(self) -> None:
        await self._ended.wait()
        await asyncio.sleep(LINGER_S)
        self._leg.listener = ignore
        self._offer(self._order.flush())
        self._stream.end()

    async def _send(self) -> None:
        format = self._stream.format
        while (packets := await self._stream.read()) is not None:
            for packet in packets:
                payload = to_bytes(Payload(packet, {}), format, Form.OLDER)
                self._leg.send(SPEECH, self._timestamp, payload)
                self._timestamp += format.samples


class RtpDecoder(_Rtp):
    """Payloads in, through a jitter buffer pulled by the server's clock; L16 out, in real time."""

    def __init__(self, leg: Leg, stream: DecoderStream) -> None:
        super().__init__(leg)
        self._stream, self._size = stream, stream.format.samples
        self._reception = Reception(stream.format, leg.ssrc)
        self._turns: deque[tuple[Turn, int]] = deque()  # being decoded, and their timestamps
        self._most = max(1, round(MAX_BEHIND_S / self._reception.period))

    def _receive(self, packet: bytes, now: float) -> None:
        self._reception.receive(packet, now)

    async def _until_end(self) -> None:
        loop, period = asyncio.get_running_loop(), self._reception.period
        # All streams at multiples of their period: the most of them in one call of the model.
        due = (loop.time() + LEAD_S) // period * period - LEAD_S
        until: float | None = None
        while until is None or loop.time() < until or len(self._reception.buffer):
            due += period
            await asyncio.sleep(due - loop.time())
            late = loop.time() - due
            if late > MAX_BEHIND_S:
                self._skip(int(late / period))
                due += int(late / period) * period
            if len(self._turns) < self._most:
                await self._pull(loop.time())
            else:
                self._skip(1)
            if until is None and self._ended.is_set():
                until = loop.time() + LINGER_S
            elif until is not None and loop.time() >= until:
                self._leg.listener = ignore
        self._stream.end()

    def _skip(self, count: int) -> None:
        """So many packet times pass unheard."""
        self._reception.buffer.skip(count)
        self._timestamp += count * self._size

    async def _pull(self, now: float) -> None:
        turn = self._reception.due(now)
        self._turns.append((turn, self._timestamp))
        self._timestamp += self._size
        for arrived in turn.packets:
            await self._stream.write(arrived)

    async def _send(self) -> None:
        decoded: deque[Samples] = deque()
        while (output := await self._stream.read()) is not None:
            decoded += [samples[0] for samples in output]
            while self._turns and len(decoded) >= len(self._turns[0][0].packets):
                turn, timestamp = self._turns.popleft()
                own = [decoded.popleft() for _ in turn.packets]
                self._send_sound(self._reception.sound(turn, own), timestamp)

    def _send_sound(self, sound: Samples, timestamp: int) -> None:
        for piece in np.array_split(sound, -(-len(sound) // MAX_L16_SAMPLES)):
            self._leg.send(SOUND, timestamp, to_pcm(piece[None], "l16"))
            timestamp += len(piece)

    def account(self) -> dict[str, Any]:
        heard = self._reception
        return {"lost": heard.sequence.lost, **heard.counts.as_dict()}
