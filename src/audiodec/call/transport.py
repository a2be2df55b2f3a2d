"""A call over UDP, paced by a clock: one asyncio task steps the endpoint once per packet time."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from audiodec.arrays import Samples
from audiodec.call.endpoint import Endpoint
from audiodec.errors import AudioDecError, ConfigError
from audiodec.rtp.packet import MAX_DATAGRAM
from audiodec.rtp.readable import MAX_DATAGRAMS_AT_ONCE, when_readable

CONNECT_POLL_S = 0.02  # seconds between looks for an answer
GOODBYE_REPEATS = 3  # times that the other end is told that the call is over: each may be lost
LAST_WORD_S = 0.5  # seconds for the other end to say what it has heard in all
SUMMARY_EVERY_PACKETS = 10  # packet times between summaries
MAX_BEHIND_S = 0.2  # seconds behind the clock that are not caught up: they would only become delay

Address = tuple[str, int]
Listener = Callable[[bytes], None]


class Channel(Protocol):
    """Carries datagrams to and from one other end; may lose, double and reorder them."""

    def send(self, datagram: bytes) -> None:
        """Send one, never waiting."""
        ...

    def listen(self, listener: Listener) -> None:
        """Call `listener` for every datagram that comes."""
        ...


class Source(Protocol):
    """Where the voice comes from.

    Attributes:
        live: goes on as long as somebody listens, as a microphone does; a file has an end.
    """

    live: bool

    def read(self, count: int) -> Samples | None:
        """Give the next [count] samples, zeros behind the last; None at the end. Never waits."""
        ...


class Sink(Protocol):
    """Where the voice of the other end goes."""

    def write(self, samples: Samples) -> None:
        """Take samples [n]. Never waits."""
        ...


class NoAnswerError(AudioDecError):
    """The other end has not answered."""


async def talk(
    endpoint: Endpoint, channel: Channel, source: Source, sink: Sink, wait: float,
    tell: Callable[[dict[str, Any]], None] = lambda summary: None,
) -> None:  # fmt: skip
    """Hold a call until both streams have ended, or the other end is gone.

    Args:
        wait: seconds for the other end to answer.
        tell: gets the endpoint's summary a few times a second.

    Raises:
        NoAnswerError: it did not answer, or the keys differ.
        ModelError: it speaks with another model.
    """
    failures: list[AudioDecError] = []

    def receive(datagram: bytes) -> None:
        try:
            endpoint.receive(datagram, time.monotonic())
        except AudioDecError as error:
            failures.append(error)

    channel.listen(receive)
    clock = time.monotonic
    deadline = clock() + wait
    try:
        while not endpoint.connected:
            if failures:
                raise failures[0]
            if clock() > deadline:
                raise NoAnswerError(_silence(endpoint, wait))
            _send(channel, endpoint.poll(clock()))
            await asyncio.sleep(CONNECT_POLL_S)
        await _converse(endpoint, channel, source, sink, tell)
        _send(channel, endpoint.hang_up(clock()))
        deadline = clock() + LAST_WORD_S
        while not (endpoint.hung_up or endpoint.gone) and clock() < deadline:
            await asyncio.sleep(CONNECT_POLL_S)
    finally:
        for _ in range(GOODBYE_REPEATS):
            _send(channel, endpoint.hang_up(clock()))


async def _converse(
    endpoint: Endpoint, channel: Channel, source: Source, sink: Sink,
    tell: Callable[[dict[str, Any]], None],
) -> None:  # fmt: skip
    clock = time.monotonic
    start, speaking, turn = clock(), True, 0
    while True:
        now = clock()
        if speaking:
            block = source.read(endpoint.size)
            if block is None:
                endpoint.end()
            else:
                _send(channel, endpoint.write(block))
            speaking = block is not None and not endpoint.hung_up
        _send(channel, endpoint.poll(now))
        sink.write(endpoint.pull(now))
        heard = endpoint.left and endpoint.drained
        if endpoint.gone or (heard and (source.live or not speaking)):
            return
        if turn % SUMMARY_EVERY_PACKETS == 0:
            tell(endpoint.summary(now))
        turn += 1
        ahead = start + turn * endpoint.period - clock()
        if ahead < -MAX_BEHIND_S:
            missed = int(-ahead / endpoint.period)
            endpoint.skip(missed)
            turn += missed
        await asyncio.sleep(max(0.0, ahead))


def _send(channel: Channel, datagrams: list[bytes]) -> None:
    for datagram in datagrams:
        channel.send(datagram)


def _silence(endpoint: Endpoint, wait: float) -> str:
    if endpoint.refused:
        return "somebody answered with another key: both ends need the same key file"
    if endpoint.called:
        return (
            f"the other end calls, but did not hear this one within {wait:g} s: is its --to this "
            "address, and does a firewall there let this end in?"
        )
    return f"no answer within {wait:g} s: is the other end calling, and is --to its address?"


class UdpChannel:
    """A connected UDP socket: the kernel lets nobody in but the other end's address.

    Own reading rather than asyncio's datagram transport, which takes one datagram per turn of its
    loop: a machine that falls behind for a moment would keep the backlog, as delay, for ever.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._listener: Listener = lambda datagram: None

    def read(self) -> None:
        """Take all that has come, up to a bound that lets others run."""
        for _ in range(MAX_DATAGRAMS_AT_ONCE):
            try:
                datagram = self._socket.recv(MAX_DATAGRAM + 1)
            except BlockingIOError:
                return
            except OSError:
                continue  # the other end is not there (yet): hellos and patience deal with that
            self._listener(datagram)

    def send(self, datagram: bytes) -> None:
        with contextlib.suppress(OSError):  # a full buffer or nobody there: lost, as on the way
            self._socket.send(datagram)

    def listen(self, listener: Listener) -> None:
        self._listener = listener


@contextlib.asynccontextmanager
async def open_udp(listen: Address, to: Address) -> AsyncIterator[UdpChannel]:
    """Open a channel from one address to another.

    Raises:
        ConfigError: an address is not to be had.
    """
    theirs, own = await _resolved(to), await _resolved(listen)
    pairs = [(b[4], t[4], t[0]) for t in theirs for b in own if b[0] == t[0]]
    if not pairs:
        raise ConfigError(
            f"no way from {_written(listen)} to {_written(to)}: one is IPv4, the other IPv6"
        )
    address, other, family = pairs[0]
    with socket.socket(family, socket.SOCK_DGRAM) as connection:
        connection.setblocking(False)
        try:
            connection.bind(address)
            connection.connect(other)
        except OSError as error:
            raise ConfigError(
                f"no way from {_written(listen)} to {_written(to)}: {error.strerror}"
            ) from None
        channel = UdpChannel(connection)
        with when_readable(connection, channel.read):
            yield channel


async def _resolved(address: Address) -> list[Any]:
    try:
        return await asyncio.get_running_loop().getaddrinfo(*address, type=socket.SOCK_DGRAM)
    except OSError as error:
        reason = error.strerror
    except ValueError:  # an empty or endless label, a zero byte
        reason = "that is no name"
    raise ConfigError(f"no way to {_written(address)}: {reason}")


def _written(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
