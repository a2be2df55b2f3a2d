"""The server under a load test: a program of its own on this machine, and what it takes."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import psutil

from audiodec.errors import ConfigError
from audiodec.serve.address import is_loopback

COUNTERS = re.compile(
    r'^audiodec_((?:refused|closed|datagrams_dropped)_total{reason="\w+"}) (\S+)$', re.MULTILINE
)


class Server:
    """A server of streams.

    Args:
        process: None: somebody else started it, and what it takes is unknown.
    """

    def __init__(self, url: str, process: int | None) -> None:
        self.url = url
        self._process = psutil.Process(process) if process else None

    def cpu_seconds(self) -> float:
        """Add up the CPU time of all its processes that live."""
        return float(sum(sum(each.cpu_times()[:2]) for each in self._family()))

    def memory(self) -> float:
        """Add up the memory that is its own, MB."""
        return float(sum(each.memory_full_info().uss for each in self._family())) / 1e6

    def counted(self) -> dict[str, float]:
        """Read what it has refused, closed and dropped, by reason; empty where that is hidden."""
        page = self.url.replace("ws", "http", 1).rsplit("/", 1)[0] + "/metrics"
        with suppress(OSError), urllib.request.urlopen(page, timeout=10) as response:
            text = response.read().decode()
            return {name: float(value) for name, value in COUNTERS.findall(text)}
        return {}

    def _family(self) -> list[psutil.Process]:
        if self._process is None:
            return []
        return [self._process, *self._process.children(recursive=True)]


@contextmanager
def started(options: Sequence[str]) -> Iterator[Server]:
    """Start `audiodec serve` on a free port. Raises ConfigError: it does not start."""
    command = [sys.executable, "-m", "audiodec", "serve", "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            url = process.stdout.readline().strip()
            if not url:
                raise ConfigError(f"no server: {process.stderr.read().strip()}")
            yield Server(url, process.pid)
        finally:
            process.terminate()


def found(url: str) -> Server:
    """Take a server that runs on this machine. Raises ConfigError: it is on another one."""
    if not is_loopback(urlsplit(url).hostname or ""):
        raise ConfigError(f"{url} is not on this machine: a load test is no attack on others")
    return Server(url, None)
