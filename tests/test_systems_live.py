"""Calls and servers on systems that have less than Linux."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from audiodec.call.keys import make_key, read_key
from audiodec.call.transport import open_udp
from tests.test_call_processes import free_ports
from tests.test_endings_live import WAIT


async def there_and_back(count: int) -> list[bytes]:
    a, b = free_ports(2)
    async with (
        open_udp(("127.0.0.1", a), ("127.0.0.1", b)) as one,
        open_udp(("127.0.0.1", b), ("127.0.0.1", a)) as two,
    ):
        got: list[bytes] = []
        one.listen(got.append)
        two.listen(two.send)
        for n in range(count):
            one.send(bytes([n]))
            await asyncio.sleep(0.01)
        for _ in range(1000):
            if len(got) == count:
                break
            await asyncio.sleep(0.01)
        return got


def missing(*_: object) -> None:
    raise NotImplementedError


@pytest.fixture
def less(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows: no signals and no sockets in the event loop, no owners of files."""
    for name in ("add_signal_handler", "add_reader"):
        monkeypatch.setattr(f"asyncio.SelectorEventLoop.{name}", missing)
    monkeypatch.delattr("os.getuid")


@pytest.mark.usefixtures("less")
def test_datagrams_on_an_event_loop_that_watches_no_sockets() -> None:
    assert sorted(asyncio.run(there_and_back(20))) == [bytes([n]) for n in range(20)]


@pytest.mark.usefixtures("less")
def test_modes_of_files_say_nothing_where_files_have_no_owner(tmp_path: Path) -> None:
    from audiodec.serve.messages import read_tokens

    make_key(tmp_path / "key")
    (tmp_path / "key").chmod(0o666)
    assert read_key(tmp_path / "key") is not None
    (tmp_path / "tokens").write_text("secret\n")
    (tmp_path / "tokens").chmod(0o666)
    assert "secret" in read_tokens(tmp_path / "tokens")


LESS = """
import asyncio, os, signal, sys
def missing(*_): raise NotImplementedError
for name in ("add_signal_handler", "add_reader"):
    setattr(asyncio.SelectorEventLoop, name, missing)
for name in ("SIGHUP", "SIGQUIT", "SIGUSR1", "SIGALRM", "pthread_kill", "setitimer"):
    delattr(signal, name)
for name in ("getuid", "fork", "mkfifo"):
    delattr(os, name)
sys.modules["fcntl"] = sys.modules["resource"] = sys.modules["termios"] = None
from audiodec.cli.main import main
sys.argv[0] = "audiodec"
main()
"""


def test_a_call_where_python_has_less(tmp_path: Path) -> None:
    a, b = (f"127.0.0.1:{port}" for port in free_ports(2))
    ends = [
        subprocess.Popen(
            [sys.executable, "-c", LESS, "call", "--bind", own, "--to", other, "--input", "none",
             "--output", str(tmp_path / f"{n}.wav"), "--json", "--wait", str(WAIT)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for n, (own, other) in enumerate(((a, b), (b, a)))
    ]  # fmt: skip
    try:
        for end in ends:
            assert end.stderr is not None
            assert end.stderr.readline() == "connected, in the open\n"
        ends[0].send_signal(signal.SIGTERM)
        results = [end.communicate(timeout=WAIT) for end in ends]
    finally:
        for end in ends:
            end.kill()
    assert [end.returncode for end in ends] == [0, 0], results
    for n in range(2):
        assert soundfile.info(tmp_path / f"{n}.wav").frames > 0


def test_a_server_where_python_has_less(small_folder: Path) -> None:
    pytest.importorskip("websockets")
    import urllib.request

    process = subprocess.Popen(
        [sys.executable, "-c", LESS, "serve", "--port", "0", "--model", str(small_folder)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        page = url.replace("ws:", "http:").replace("/stream", "/healthz?x")
        with urllib.request.urlopen(page, timeout=WAIT) as response:
            assert response.read() == b"alive\n"
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=WAIT)
    finally:
        process.kill()
    assert (process.returncode, out) == (0, "")
    assert "Traceback" not in errors
