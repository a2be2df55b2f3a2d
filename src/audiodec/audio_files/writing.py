"""Writing files and pipes: outputs appear whole or not at all."""

from __future__ import annotations

import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiodec.audio_files.names import PIPE
from audiodec.errors import AudioError


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
