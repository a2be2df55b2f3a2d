"""Reading a socket when there is something to read, on event loops of every system."""

from __future__ import annotations

import asyncio
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

MAX_DATAGRAMS_AT_ONCE = 64  # that `read` takes before others run
LOOK_EVERY_S = 0.1  # seconds between looks for the end, where a thread has to look


@contextmanager
def when_readable(connection: socket.socket, read: Callable[[], object]) -> Iterator[None]:
    """Call `read` in the running event loop whenever datagrams wait, as long as the context lasts.

    Windows' usual event loop cannot watch a socket; there a thread does it.
    """
    loop = asyncio.get_running_loop()
    try:
        loop.add_reader(connection, read)
    except NotImplementedError:
        with _watched(loop, connection, read):
            yield
        return
    try:
        yield
    finally:
        loop.remove_reader(connection)


@contextmanager
def _watched(
    loop: asyncio.AbstractEventLoop, connection: socket.socket, read: Callable[[], object]
) -> Iterator[None]:
    ended, taken = threading.Event(), threading.Event()

    def take() -> None:
        if not ended.is_set():
            read()
        taken.set()

    def watch() -> None:
        while not ended.is_set():
            if select.select([connection], [], [], LOOK_EVERY_S)[0] and not ended.is_set():
                taken.clear()
                loop.call_soon_threadsafe(take)
                while not (taken.wait(LOOK_EVERY_S) or ended.is_set()):
                    pass

    thread = threading.Thread(target=watch, name="datagrams", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
