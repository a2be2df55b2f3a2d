"""Opening and writing files and pipes: outputs appear whole or not at all."""

from __future__ import annotations

import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiodec.errors import AudioError

PIPE = "-"
AUDIO_SUFFIXES = {f".{name.lower()}" for name in soundfile.available_formats()} | {
    ".aif", ".oga", ".opus"
}  # fmt: skip
MIN_RATE, MAX_RATE = 1000, 768_000  # Hz; a header's claim decides how much resampling makes


def write_whole(target: str) -> AbstractContextManager[BinaryIO]:
    """A binary file that appears under its name only when complete.

    `-` is stdout; a device or named pipe is written to as it stands.

    Raises:
        AudioError: it cannot be written.
    """
    if target == PIPE:
        return _standard_output()
    path = Path(target).resolve()
    if path.is_dir():
        raise AudioError(f"{target} is a folder; name a file in it")
    if path.exists() and not path.is_file():
        return path.open("wb")
    return _Whole(path, target)


@contextmanager
def _standard_output() -> Iterator[BinaryIO]:
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()


class _Whole:
    """A file under another name until it is complete; removed when that never happens.

    A class, and the name chosen first, because Ctrl-C may come as early as while the file is made:
    a generator would then be left waiting where nobody closes it.
    """

    def __init__(self, path: Path, target: str) -> None:
        self._path, self._target = path, target
        self._part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")

    def __enter__(self) -> BinaryIO:
        try:
            self._file = self._part.open("x+b")
        except OSError as error:
            raise AudioError(f"{self._target} cannot be written: {error.strerror}") from None
        except BaseException:
            self._part.unlink(missing_ok=True)
            raise
        return self._file

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._file.close()
            if kind is None:
                self._part.replace(self._path)
        finally:
            self._part.unlink(missing_ok=True)


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


@contextmanager
def create_audio(
    out: BinaryIO, target: str, rate: int, channels: int
) -> Iterator[soundfile.SoundFile]:
    """A sound file in the format of the target's suffix, written through `out`."""
    suffix = "WAV" if target == PIPE else Path(target).suffix[1:].upper()
    kind = {"OPUS": "OGG", "OGA": "OGG", "AIF": "AIFF"}.get(suffix, suffix)
    subtype = "OPUS" if suffix == "OPUS" else None
    with tempfile.TemporaryFile() as spool:
        seekable = spool if target == PIPE else out
        try:
            audio = soundfile.SoundFile(seekable, "w", rate, channels, subtype, format=kind)
        except (soundfile.SoundFileError, TypeError, ValueError) as error:
            raise AudioError(
                f"{target} cannot be written as {suffix or 'audio without a suffix'} at "
                f"{rate} Hz with {channels} channels: {error}; try .wav or .flac"
            ) from None
        with audio:
            yield audio
        if target == PIPE:
            spool.seek(0)
            shutil.copyfileobj(spool, out)


def write_audio(audio: soundfile.SoundFile, piece: NDArray[np.float32]) -> None:
    """Append [channels, n], clipped to full scale."""
    if piece.shape[1]:
        audio.write(np.clip(piece, -1, 1).T)
