"""Files for browsers: the pages, the JavaScript package and the models, from a folder each."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from audiodec.serve.limits import Limits

PIECE_BYTES = 65536  # bytes read and sent at once
TYPES = {  # those that the system's list may lack or name otherwise
    ".adc": "application/octet-stream",
    ".flac": "audio/flac",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".onnx": "application/octet-stream",
    ".safetensors": "application/octet-stream",
    ".wasm": "application/wasm",
}
HEADERS = {
    # Only an isolated page has shared memory between its threads.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",  # ask whether it has changed, each time
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Connection": "close",
}


@dataclass(frozen=True)
class Found:
    """A file as it will be sent.

    Attributes:
        path: where it lies, packed or not.
        kind: media type.
        packed: whether it is compressed with gzip.
        tag: changes whenever the file does.
        size: bytes.
        modified: seconds since 1970.
    """

    path: Path
    kind: str
    packed: bool
    tag: str
    size: int
    modified: float


class Site:
    """Finds files by address and sends them.

    Args:
        folders: by the beginning of their addresses, e.g. {"/": pages, "/models/": models}. Links
            out of a folder are not followed.
        limits: of files sent at once, and of the time that a reader may take for a piece.
    """

    def __init__(self, folders: Mapping[str, Path], limits: Limits) -> None:
        self._folders = sorted(
            ((prefix, folder.resolve()) for prefix, folder in folders.items()),
            key=lambda each: -len(each[0]),
        )
        self._limits, self._sending = limits, 0

    def find(self, address: str, accepts_gzip: bool) -> Found | None:
        """Find the file of an address, percent-encoded; in its place `NAME.gz` beside it, if there
        and accepted."""
        name = unquote(address)
        prefix, folder = next((p, f) for p, f in self._folders if name.startswith(p))
        with suppress(OSError, ValueError):  # no such file; a zero byte, a name too long
            path = (folder / name.removeprefix(prefix).lstrip("/")).resolve()
            if name.endswith("/"):
                path /= "index.html"
            if not path.is_relative_to(folder):
                return None
            if any(part.startswith(".") for part in path.relative_to(folder).parts):
                return None
            kind = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
            packed = path.with_name(path.name + ".gz")
            if accepts_gzip and packed.is_file():
                path = packed
            if path.is_file():
                about = path.stat()
                tag = f'"{about.st_mtime_ns:x}-{about.st_size:x}{"-gz" * (path is packed)}"'
                return Found(
                    path, kind or "application/octet-stream", path is packed, tag,
                    about.st_size, about.st_mtime,
                )  # fmt: skip
        return None

    async def send(self, connection: ServerConnection, request: Request, path: str) -> bool:
        """Answer a request for a file, and close. Returns False if there is no such file, or too
        many are being sent.

        The library's own answers end after its deadline for handshakes, which a large file over a
        slow line exceeds; here each piece has time.
        """
        found = self.find(path, "gzip" in request.headers.get("Accept-Encoding", ""))
        if found is None or self._sending >= self._limits.connections:
            return False
        known = found.tag in request.headers.get("If-None-Match", "")
        self._sending += 1
        try:
            connection.transport.write(_head(found, known).serialize())
            if request.method == "GET" and not known:
                for piece in _pieces(found):
                    connection.transport.write(piece)
                    async with asyncio.timeout(self._limits.idle):
                        await connection.drain()
            connection.transport.close()  # once all is sent
            async with asyncio.timeout(self._limits.idle):
                await connection.wait_closed()
        except (OSError, TimeoutError):
            connection.transport.abort()  # gone, or too slow
            await connection.wait_closed()
        finally:
            self._sending -= 1
        return True


def _head(found: Found, known: bool) -> Response:
    """Make what comes before a file, or alone where the client has it."""
    headers = Headers(HEADERS)
    headers["ETag"] = found.tag
    headers["Vary"] = "Accept-Encoding"
    if known:
        return Response(HTTPStatus.NOT_MODIFIED, "Not Modified", headers)
    text = found.kind.startswith("text/") or found.kind == "application/json"
    headers["Content-Type"] = found.kind + ("; charset=utf-8" if text else "")
    headers["Content-Length"] = str(found.size)
    headers["Last-Modified"] = formatdate(found.modified, usegmt=True)
    if found.packed:
        headers["Content-Encoding"] = "gzip"
    return Response(HTTPStatus.OK, "OK", headers)


def _pieces(found: Found) -> Iterator[bytes]:
    """Read a file: as many bytes as were announced, or fewer if it has shrunk."""
    left = found.size
    with found.path.open("rb") as file:
        while left and (piece := file.read(min(PIECE_BYTES, left))):
            left -= len(piece)
            yield piece
