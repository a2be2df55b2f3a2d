"""Addresses of a call: what is none is told, in one line."""

from __future__ import annotations

import asyncio
import socket

import pytest

from audiodec.call.transport import open_udp
from audiodec.errors import ConfigError
from tests.test_call_processes import free_ports


@pytest.mark.parametrize(
    "address",
    ["", ":", "here", ":5004", "here:", "here:0", "here:65536", "here:-1", "here:" + "9" * 5000,
     "here:٥٠٠٤", "[]:5004", "[::1:5004", "::1]:5004", "he re:5004", "http://here:5004"],
)  # fmt: skip
@pytest.mark.parametrize("option", ["--bind", "--to"])
def test_addresses_that_are_none_are_told(address: str, option: str) -> None:
    from audiodec.cli.call import _address

    with pytest.raises(ConfigError, match=f"{option} needs HOST:PORT"):
        _address(address, option)


def test_addresses_of_both_families() -> None:
    from audiodec.cli.call import _address

    assert _address("192.0.2.1:5004", "--to") == ("192.0.2.1", 5004)
    assert _address("[2001:db8::1]:5004", "--to") == ("2001:db8::1", 5004)
    assert _address("::1:5004", "--to") == ("::1", 5004)


def no_way(bind: tuple[str, int], to: tuple[str, int]) -> str:
    async def run() -> None:
        async with open_udp(bind, to):
            pass

    with pytest.raises(ConfigError) as caught:
        asyncio.run(run())
    return str(caught.value)


@pytest.mark.parametrize(
    "host", ["a..b", "." * 5, "a" * 64 + ".b", "a\0b", "\udcff.b", "no.such.invalid"]
)
def test_names_that_are_none_are_told(host: str) -> None:
    (port,) = free_ports(1)
    assert no_way(("127.0.0.1", port), (host, 5004)).startswith(f"no way to {host}:5004: ")
    assert no_way((host, 5004), ("127.0.0.1", port)).startswith(f"no way to {host}:5004: ")


def test_two_families_do_not_meet_and_a_taken_port_is_told() -> None:
    a, b = free_ports(2)
    assert "one is IPv4, the other IPv6" in no_way(("127.0.0.1", a), ("::1", b))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", a))
        assert "in use" in no_way(("127.0.0.1", a), ("127.0.0.1", b))
