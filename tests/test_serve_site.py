"""Files that `audiodec serve --site` hands out to browsers."""

from __future__ import annotations

import gzip
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPMessage
from pathlib import Path

import pytest

pytest.importorskip("websockets")
pytest.importorskip("prometheus_client")

from tests.serve_tools import WAIT, Served

BIG = bytes(range(256)) * 80_000  # 20 MB: more than any buffer on the way


@pytest.fixture
def served(serve_rooms: Callable[..., Served], tmp_path: Path) -> Iterator[Served]:
    pages, models = tmp_path / "pages", tmp_path / "models"
    (pages / "js").mkdir(parents=True)
    (models / "small").mkdir(parents=True)
    (pages / "index.html").write_text("<!doctype html>hello")
    (pages / "js" / "a b.mjs").write_text("export {}")
    (pages / ".hidden").write_text("secret")
    (tmp_path / "secret.txt").write_text("secret")
    (pages / "way-out").symlink_to(tmp_path / "secret.txt")
    (models / "small" / "big.wasm").write_bytes(BIG)
    (pages / "packed.js").write_text("plain")
    (pages / "packed.js.gz").write_bytes(gzip.compress(b"plain"))
    with serve_rooms(folders={"/": pages, "/models/": models}, hello=1, idle=WAIT) as server:
        yield server


def get(
    server: Served, path: str, method: str = "GET", **headers: str
) -> tuple[HTTPMessage, bytes]:
    request = urllib.request.Request(
        server.address(path), method=method,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=WAIT) as response:
        return response.headers, response.read()


def test_files_come_whole_and_with_their_types(served: Served) -> None:
    for path, kind, body in (
        ("/", "text/html; charset=utf-8", b"<!doctype html>hello"),
        ("/index.html?x=1", "text/html; charset=utf-8", b"<!doctype html>hello"),
        ("/js/a%20b.mjs", "text/javascript; charset=utf-8", b"export {}"),
        ("/models/small/big.wasm", "application/wasm", BIG),
    ):
        headers, content = get(served, path)
        assert content == body
        assert headers["Content-Type"] == kind
        assert headers["Content-Length"] == str(len(body))
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    headers, content = get(served, "/models/small/big.wasm", "HEAD")
    assert (headers["Content-Length"], content) == (str(len(BIG)), b"")
    assert get(served, "/healthz")[1] == b"alive\n"  # beside them


def test_what_a_browser_has_is_not_sent_again(served: Served) -> None:
    tag = get(served, "/packed.js")[0]["ETag"]
    with pytest.raises(urllib.error.HTTPError, match="304") as known:
        get(served, "/packed.js", If_None_Match=tag)
    assert known.value.headers["ETag"] == tag
    packed, body = get(served, "/packed.js", Accept_Encoding="br, gzip")
    assert gzip.decompress(body) == b"plain"
    assert (packed["Content-Encoding"], packed["Vary"]) == ("gzip", "Accept-Encoding")
    assert packed["Content-Type"] == "text/javascript; charset=utf-8"
    assert get(served, "/packed.js", If_None_Match=packed["ETag"])[1] == b"plain"


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/js", "/js/", "/.hidden", "/way-out", "/../secret.txt", "/%2e%2e/secret.txt",
     "/models/../../secret.txt", "/models/%2e%2e/%2e%2e/secret.txt", "//etc/passwd", "/%00",
     "/models/small/..%2f..%2f..%2fsecret.txt", "/" + "a" * 5000, "/%ff%fe", "/packed.js/"],
)  # fmt: skip
def test_nothing_else_is_handed_out(served: Served, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(served, path)


def test_a_slow_reader_gets_its_file_and_one_that_leaves_harms_nobody(served: Served) -> None:
    ask = b"GET /models/small/big.wasm HTTP/1.1\r\nHost: a\r\n\r\n"
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", served.port), timeout=WAIT) as raw:
            raw.sendall(ask)
            raw.recv(1000)
    with socket.create_connection(("127.0.0.1", served.port), timeout=WAIT) as raw:
        raw.sendall(ask)
        content = raw.recv(1000)
        assert get(served, "/")[1]  # others are served meanwhile
        while data := raw.recv(1 << 20):
            content += data
    assert content.partition(b"\r\n\r\n")[2] == BIG
