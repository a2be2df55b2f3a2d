"""The UDP side of RTP streams: one port for all, told apart by SSRC, each under its own key."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

from audiodec.call.handshake import KEY_BYTES
from audiodec.errors import AudioDecError, ConfigError, FormatError
from audiodec.rtp.packet import MAX_DATAGRAM, RtpPacket, is_rtcp
from audiodec.rtp.readable import MAX_DATAGRAMS_AT_ONCE, when_readable
from audiodec.rtp.srtp import Srtp
from audiodec.serve.limits import Budget, Limits
from audiodec.serve.metrics import Metrics

RECEIVE_BUFFER_BYTES = 1 << 20  # bytes asked of the system: all streams share it
RTP_HEADER_BYTES = 12  # bytes of an RTP header

Listener = Callable[[bytes, float], None]


class Leg:
    """One stream's way: a key, an SSRC each way, and where its client is.

    Only authentic datagrams say where that is: the newest one's address. Before the first, nothing
    is sent.

    Attributes:
        port: to which the client sends.
        ssrc, own: of what the client sends, and the server.
        key: SRTP master key and salt of both directions, which different SSRCs keep apart
            (RFC 3711, section 9.1).
        heard: when the last authentic datagram came, by the loop's clock.
        listener: gets each RTP packet, opened, and when it came; what it raises is counted.
    """

    def __init__(self, port: int, ssrc: int, own: int, limits: Limits, metrics: Metrics) -> None:
        self.port, self.ssrc, self.own, self.heard = port, ssrc, own, 0.0
        self.key = secrets.token_bytes(KEY_BYTES)
        self.listener: Listener = ignore
        self._guard = Srtp(self.key, self.key, own, ssrc)
        self._budget, self._metrics = Budget(limits.rate), metrics
        self._newest: int | None = None  # sequence number
        self._path: tuple[socket.socket, Any] | None = None
        # In the lower half: a loss at the first wrap would leave the two ends' roll-over counters
        # (RFC 3711, section 3.3.1) apart.
        self._sequence = secrets.randbelow(1 << 15)

    def receive(self, datagram: bytes, path: tuple[socket.socket, Any], now: float) -> None:
        """Take a datagram of this SSRC that has come, from whomever."""
        try:
            packet = self._guard.open(datagram)
        except FormatError:
            self._metrics.dropped.labels("refused").inc()
            return
        self.heard = now
        number = int.from_bytes(packet[2:4], "big")
        if self._newest is None or 0 < (number - self._newest) & 0xFFFF < 1 << 15:
            self._newest, self._path = number, path
        self._metrics.bytes.labels("in").inc(len(datagram))
        if not self._budget.affords(len(datagram)):
            self._metrics.dropped.labels("rate").inc()
            return
        try:
            self.listener(packet, now)
        except AudioDecError:
            self._metrics.dropped.labels("invalid").inc()

    def send(self, kind: int, timestamp: int, payload: bytes) -> None:
        """Send an RTP packet, never waiting; nowhere as long as the client is unknown."""
        if self._path is None:
            return
        packet = RtpPacket(kind, self._sequence, timestamp, self.own, payload).to_bytes()
        self._sequence += 1
        datagram, (way, address) = self._guard.protect(packet), self._path
        self._metrics.bytes.labels("out").inc(len(datagram))
        with suppress(OSError):  # a full buffer or nobody there: lost, as on the way
            way.sendto(datagram, address)

    def drop(self) -> None:
        """Count a datagram whose sound found no room."""
        self._metrics.dropped.labels("full").inc()


def ignore(packet: bytes, now: float) -> None:
    """Make a listener that does nothing."""


class Datagrams:
    """The sockets, and the streams behind them; a context, at whose end the sockets close.

    Attributes:
        port: of all of them.
    """

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self.port = 0
        self._limits, self._metrics = limits, metrics
        self._sockets: list[socket.socket] = []
        self._reading = ExitStack()
        self._legs: dict[int, Leg] = {}

    def bind(self, addresses: Iterable[tuple[int, str]], port: int) -> None:
        """Listen, until the context ends.

        Args:
            addresses: families and addresses, several where a name means several.
            port: 0 takes a free one.

        Raises:
            ConfigError: an address is not to be had.
        """
        self.port = port
        for family, address in addresses:
            own = socket.socket(family, socket.SOCK_DGRAM)
            self._sockets.append(own)
            own.setblocking(False)
            own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            if family == socket.AF_INET6:
                own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                own.bind((address, self.port))
            except OSError as error:
                raise ConfigError(
                    f"no RTP at {address}, UDP port {self.port}: {error.strerror}"
                ) from None
            self.port = own.getsockname()[1]
            self._reading.enter_context(when_readable(own, partial(self._read, own)))

    async def __aenter__(self) -> Datagrams:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reading.close()
        for own in self._sockets:
            own.close()

    def open(self) -> Leg:
        """Open a way for a new stream; give it back with `forget`."""
        taken = {leg.own for leg in self._legs.values()} | self._legs.keys()
        ssrc = _fresh(taken)
        leg = Leg(self.port, ssrc, _fresh(taken | {ssrc}), self._limits, self._metrics)
        self._legs[ssrc] = leg
        return leg

    def forget(self, leg: Leg) -> None:
        """Forget a stream: its datagrams are unknown from now on."""
        del self._legs[leg.ssrc]

    def _read(self, own: socket.socket) -> None:
        now = asyncio.get_running_loop().time()
        for _ in range(MAX_DATAGRAMS_AT_ONCE):
            try:
                datagram, address = own.recvfrom(MAX_DATAGRAM + 1)
            except BlockingIOError:
                return
            except OSError:
                continue  # a client that is gone: `idle` finds it
            leg = None
            if RTP_HEADER_BYTES <= len(datagram) <= MAX_DATAGRAM and not is_rtcp(datagram):
                leg = self._legs.get(int.from_bytes(datagram[8:12], "big"))
            if leg is None:
                self._metrics.dropped.labels("unknown").inc()
            else:
                leg.receive(datagram, (own, address), now)


def _fresh(taken: set[int]) -> int:
    """Draw a random SSRC."""
    while (ssrc := 1 + secrets.randbelow(2**32 - 1)) in taken:
        pass
    return ssrc
