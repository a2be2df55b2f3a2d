"""Connections that one process accepts and another one serves."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_SENT = b"."  # goes with a connection, which cannot travel alone


def can_hand_over() -> bool:
    """Tell whether this system hands sockets from process to process: Windows does not."""
    return hasattr(socket, "send_fds")


def hand_over(connection: socket.socket, way: socket.socket) -> bool:
    """Hand a connection to the process at the other end of a pair of sockets, never waiting.

    Returns:
        False if it is gone, or has long taken none.
    """
    with suppress(OSError):
        return socket.send_fds(way, [_SENT], [connection.fileno()]) == len(_SENT)
    return False


class HandedOver(socket.socket):
    """Looks like a listening socket; what it accepts are connections that are handed over.

    Event loops can listen to it as to any other: all that they do with a server's socket, such as
    TLS, works as ever.

    Args:
        descriptor: of this process' end of the pair of sockets.
        closed: called whenever a connection is closed.
    """

    def __init__(self, descriptor: int, closed: Callable[[], object]) -> None:
        super().__init__(fileno=descriptor)
        self._closed = closed

    def listen(self, backlog: int = 0, /) -> None:
        """Do nothing: another process listens."""

    def accept(self) -> tuple[socket.socket, Any]:
        """Take the next connection, and tell whose it is."""
        _, descriptors, _, _ = socket.recv_fds(self, len(_SENT), 1)
        if not descriptors:
            raise BlockingIOError
        connection = _Connection(descriptors[0], self._closed)
        connection.set_inheritable(False)
        try:
            return connection, connection.getpeername()
        except OSError as error:  # gone before it was served
            connection.close()
            raise ConnectionAbortedError from error


class _Connection(socket.socket):
    """A connection that tells when it is closed, whoever closes it."""

    def __init__(self, descriptor: int, closed: Callable[[], object]) -> None:
        super().__init__(fileno=descriptor)
        self._closed_once = closed

    def close(self) -> None:
        """Close it."""
        if self.fileno() >= 0:
            super().close()
            self._closed_once()
