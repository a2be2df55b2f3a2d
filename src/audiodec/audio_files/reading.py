"""Opening sound files and pipes."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO

import soundfile

from audiodec.audio_files.names import PIPE
from audiodec.errors import AudioError
from audiodec.resampling import MAX_RATE, MIN_RATE


@contextmanager
def open_bytes(source: str) -> Iterator[BinaryIO]:
    """A file or stdin. Raises AudioError when it cannot be read."""
    if source == PIPE:
        yield sys.stdin.buffer
        return
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open(source, "rb"))
        except OSError as error:
            raise AudioError(f"{source} cannot be read: {error.strerror}") from None
        yield file


@contextmanager
def open_audio(source: str) -> Iterator[soundfile.SoundFile]:
    """A sound file; a pipe is spooled to disk first, because most formats need seeking.

    Raises:
        AudioError: it cannot be read, or claims a sample rate outside 1 to 768 kHz.
    """
    with open_bytes(source) as file, tempfile.TemporaryFile() as spool:
        seekable = file
        if source == PIPE:
            shutil.copyfileobj(file, spool)
            spool.seek(0)
            seekable = spool
        try:
            audio = soundfile.SoundFile(seekable)
        except soundfile.SoundFileError as error:
            reason = str(error).split(": ", 1)[-1]
            raise AudioError(f"{source} is not audio that can be read: {reason}") from None
        with audio:
            if not MIN_RATE <= audio.samplerate <= MAX_RATE:
                raise AudioError(f"{source} claims a sample rate of {audio.samplerate} Hz")
            yield audio
