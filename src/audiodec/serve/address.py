"""Where a server is: addresses to listen at, addresses to tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from audiodec.errors import ConfigError

STREAMS, ROOMS = "/stream", "/room"  # addresses of WebSockets


@dataclass(frozen=True)
class Address:
    """Where a server can be reached.

    Attributes:
        hosts: families and addresses, several where a name means several.
        port: TCP port of the first.
    """

    hosts: Sequence[tuple[int, str]]
    port: int

    @classmethod
    def of(cls, sockets: Sequence[Any]) -> Address:
        """Find it by listening sockets."""
        hosts = [(int(own.family), own.getsockname()[0]) for own in sockets]
        return cls(hosts, sockets[0].getsockname()[1])

    def url(self, tls: bool) -> str:
        """Write the address of the streams."""
        return f"{'wss' if tls else 'ws'}://{self._host}:{self.port}{STREAMS}"

    def origins(self, tls: bool) -> list[str]:
        """Write what browsers call pages from here."""
        return [f"http{'s' * tls}://{own}:{self.port}" for own in (self._host, "localhost")]

    @property
    def _host(self) -> str:
        host = self.hosts[0][1]
        return f"[{host}]" if ":" in host else host


@contextmanager
def listening_at(host: str, port: int) -> Iterator[None]:
    """Make a ConfigError of what goes wrong when a server begins to listen."""
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: no name of a host
        reason = error.strerror if isinstance(error, OSError) else "that is no name"
        raise ConfigError(f"cannot serve at {host}, port {port}: {reason}") from None


def check_access(host: str, tokens: Sequence[str]) -> None:
    """Refuse, with ConfigError, to let everyone in."""
    if not tokens and not is_loopback(host):
        raise ConfigError(f"{host} is open to other machines: give access tokens (--tokens)")


def is_loopback(host: str) -> bool:
    """Tell whether an address can be reached from this machine only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
