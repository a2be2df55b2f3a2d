"""A server of streams in a thread, and clients that give a slow machine all its time."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import audiodec

websockets = pytest.importorskip("websockets")
pytest.importorskip("prometheus_client")

from websockets.exceptions import ConnectionClosed  # noqa: E402
from websockets.sync.client import ClientConnection, connect  # noqa: E402

from audiodec.serve.limits import Limits  # noqa: E402
from audiodec.serve.offer import Offer  # noqa: E402
from audiodec.serve.server import serve  # noqa: E402

UPGRADE = (
    b"GET /stream HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
WAIT = 60  # seconds after which a test gives up; nothing asserts how long anything takes


class Reached:
    """A server that is somewhere, as its clients see it.

    Attributes:
        url: of streams.
        trust: to check its certificate with; None: it has none.
    """

    url = ""
    trust: ssl.SSLContext | None = None

    @property
    def port(self) -> int:
        return int(self.url.removesuffix("/stream").rsplit(":", 1)[1])

    def address(self, path: str) -> str:
        return self.url.replace("ws", "http", 1).replace("/stream", path)

    def page(self, path: str) -> str:
        with urllib.request.urlopen(
            self.address(path), timeout=WAIT, context=self.trust
        ) as response:
            return response.read().decode()

    def count(self, name: str) -> float:
        """A metric, labels and all."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.page("/metrics"), re.MULTILINE)
        return float(found[1]) if found else 0.0

    def wait_for(self, name: str, value: float) -> None:
        for _ in range(10 * WAIT):
            if self.count(name) == value:
                return
            time.sleep(0.1)
        raise AssertionError(f"{name} is {self.count(name)}, not {value}")

    def connect(self, path: str = "/stream", **options: Any) -> ClientConnection:
        """A client that gives a machine that pauses all its time."""
        url = self.url.replace("/stream", path)
        patience: dict[str, Any] = {"open_timeout": WAIT, "ping_interval": None}
        return connect(url, compression=None, ssl=self.trust, **patience | options)

    @contextmanager
    def stream(self, **hello: Any) -> Iterator[tuple[ClientConnection, dict[str, Any]]]:
        with self.connect() as client:
            client.send(json.dumps(hello))
            yield client, json.loads(client.recv(WAIT))


class Served(Reached):
    """A server in a thread."""

    def __init__(
        self, codecs: list[audiodec.Codec], limits: Limits, tokens: list[str], **options: Any
    ) -> None:
        self._ready, self._options = threading.Event(), options
        self._thread = threading.Thread(target=self._run, args=(codecs, limits, tokens))

    def _run(self, codecs: list[audiodec.Codec], limits: Limits, tokens: list[str]) -> None:
        async def main() -> None:
            self._stop, self._loop = asyncio.Event(), asyncio.get_running_loop()
            offer = Offer([codec.runtime for codec in codecs], limits, tokens, **self._options)
            await serve(offer, "127.0.0.1", 0, self._stop, self._started)

        asyncio.run(main())

    def _started(self, url: str) -> None:
        self.url = url
        self._ready.set()

    def __enter__(self) -> Served:
        self._thread.start()
        assert self._ready.wait(WAIT)
        return self

    def stop(self) -> None:
        with suppress(RuntimeError):  # it has stopped
            self._loop.call_soon_threadsafe(self._stop.set)

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._thread.join(WAIT)
        assert not self._thread.is_alive(), "the server does not stop"


class Command(Reached):
    """`audiodec serve` as a program without a terminal.

    Attributes:
        said: lines on stderr so far.
    """

    def __init__(self, *options: object, trust: ssl.SSLContext | None = None) -> None:
        self.trust, self.said = trust, list[str]()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "audiodec", "serve", "--port", "0", *map(str, options)],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line.strip())

    def __enter__(self) -> Command:
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url, self.said
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.wait()

    def wait(self) -> int:
        """Wait for its end; gives its status."""
        status = self.process.wait(WAIT)
        self._listener.join(WAIT)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status

    def wait_to_say(self, what: str, times: int = 1) -> list[str]:
        """Wait until so many lines hold a text, and give them."""
        for _ in range(10 * WAIT):
            if len(found := [line for line in self.said if what in line]) >= times:
                return found
            time.sleep(0.1)
        raise AssertionError(f"{what!r} is not in {self.said}")

    def workers(self) -> dict[int, int]:
        """Processes of the workers that serve now, by number."""
        now = {}
        for line in self.said:
            if found := re.match(r"worker (\d+) (?:serves: process (\d+)|died)", line):
                now[int(found[1])] = int(found[2] or 0)
        return {number: pid for number, pid in now.items() if pid}


def make_certificate(folder: Path, name: str = "localhost") -> tuple[Path, Path]:
    """A certificate for this machine that vouches for itself, and its key."""
    chain, key = folder / f"{name}.pem", folder / f"{name}.key"
    words = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        f"-subj /CN={name} -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    )
    subprocess.run([*words.split(), "-keyout", key, "-out", chain], check=True, capture_output=True)
    return chain, key


def through(client: ClientConnection, messages: list[bytes]) -> tuple[list[bytes], dict[str, Any]]:
    """Send everything and the end; what comes back."""

    def send() -> None:
        for message in messages:
            client.send(message)
        client.send(json.dumps({"end": True}))

    sender = threading.Thread(target=send)
    sender.start()
    received: list[bytes] = []
    while isinstance(message := client.recv(WAIT), bytes):
        received.append(message)
    sender.join(WAIT)
    return received, json.loads(message)


def refusal(client: ClientConnection) -> tuple[int, str]:
    """The code with which the server closes, and the reason."""
    with suppress(ConnectionClosed):
        while True:
            client.recv(WAIT)
    assert client.close_code is not None
    return client.close_code, client.close_reason or ""


def noise(seed: int, samples: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)
