"""Bytes to read from: files, stdin, and pipes that are kept in a temporary file."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO

from audiodec.audio_files.names import PIPE, printable
from audiodec.errors import AudioError


@contextmanager
def open_bytes(source: str) -> Iterator[BinaryIO]:
    """Open a file or stdin. Raises AudioError when it cannot be read."""
    if source == PIPE:
        if sys.stdin is None:
            raise AudioError("standard input is closed: give a file, or a pipe to read from")
        yield sys.stdin.buffer
        return
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open(source, "rb"))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise AudioError(
                f"{printable(source) or 'a file without a name'} cannot be read: {reason}"
            ) from None
        yield file


@contextmanager
def seekable(source: str) -> Iterator[BinaryIO]:
    """Give a file on disk with the bytes of `source`: itself, if it is one."""
    with open_bytes(source) as file, ExitStack() as stack:
        mode = _mode(file)
        if stat.S_ISREG(mode) and file.tell() == 0:
            yield file
            return
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            raise AudioError(f"{printable(source)} is a device: give a file or a pipe")
        try:
            spool = stack.enter_context(tempfile.TemporaryFile())
            shutil.copyfileobj(file, spool)
            spool.seek(0)
        except OSError as error:
            raise AudioError(
                f"{printable(source)} cannot be kept in a temporary file: {error.strerror}"
            ) from None
        yield spool


def _mode(file: BinaryIO) -> int:
    try:
        return os.fstat(file.fileno()).st_mode
    except OSError:  # a buffer in memory in place of stdin
        return 0
