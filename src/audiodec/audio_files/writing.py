"""Writing files and pipes: outputs appear whole or not at all, and never in place of an input."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiodec.audio_files.names import AUDIO_SUFFIXES, PIPE, printable
from audiodec.errors import AudioDecError, AudioError

PART = ".audiodec-"  # how the name of a file begins that is not complete yet
STREAMS = ("/dev/fd/", "/dev/std", "/proc/")  # what is open already, under a name


def check_other(source: str, target: str) -> None:
    """Refuse a target that would overwrite the source, however it is named. Raises AudioError."""
    read, write = _stat(source, sys.stdin), _stat(target, sys.stdout)
    if read and write and stat.S_ISREG(read.st_mode) and os.path.samestat(read, write):
        raise AudioError(
            f"{printable(target)} is the input itself, which would be overwritten: "
            "choose another output"
        )


def is_stream(target: str) -> bool:
    """Tell whether a target is written to as it stands: `-`, a pipe, a device, an open file."""
    if target == PIPE or target.startswith(STREAMS):
        return True
    found = _stat(target)
    return found is not None and not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode)


def _stat(name: str, standard: object = None) -> os.stat_result | None:
    """Of the file behind a name, or behind a standard stream for `-`; None where there is none."""
    try:
        return os.fstat(standard.fileno()) if name == PIPE else os.stat(name)  # type: ignore[attr-defined]
    except (OSError, ValueError, AttributeError):  # not there, not nameable, no file
        return None


def write_whole(target: str) -> Output:
    """Open a binary file that appears under its name only when complete.

    `-` is stdout; a device or named pipe is written to as it stands.

    Raises:
        AudioError: it cannot be written, now or later.
    """
    return Output(target)


class Output:
    """A file under another name until it is complete; removed when that never happens.

    A class, and the name chosen first, because Ctrl-C may come as early as while the file is made:
    a generator would then be left waiting where nobody closes it. The name is short, as the
    target's may be as long as names can be.
    """

    def __init__(self, target: str) -> None:
        self._target = "standard output" if target == PIPE else printable(target)
        self._path: Path | None = None  # where the complete file goes
        self._standard = target == PIPE
        if self._standard or is_stream(target):
            self._part = Path(target)
            return
        try:
            if not target:
                raise AudioError("an output without a name cannot be written")
            path = Path(target).resolve()
            if path.is_dir():
                raise AudioError(f"{self._target} is a folder; name a file in it")
            self._path, self._part = path, path.with_name(PART + secrets.token_hex(4))
        except (
            OSError,
            ValueError,
            RuntimeError,
        ) as error:  # too long, a circle
            raise self._failure(error) from None

    def __enter__(self) -> BinaryIO:
        try:
            if self._standard:
                if sys.stdout is None:
                    raise AudioError("standard output is closed: name a file to write")
                self._file: BinaryIO = sys.stdout.buffer
            else:
                self._file = self._part.open("wb" if self._path is None else "x+b")
        except OSError as error:
            raise self._failure(error) from None
        except BaseException:
            self._remove()
            raise
        return self._file

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        try:
            if self._standard:
                self._file.flush()
            else:
                self._file.close()
            if kind is None and self._path is not None:
                self._part.replace(self._path)
        except OSError as late:
            if kind is None:
                raise self._failure(late) from None
        finally:
            self._remove()
        if isinstance(error, OSError) and error.filename is None:
            raise self._failure(error) from None

    def _remove(self) -> None:
        if self._path is not None:
            self._part.unlink(missing_ok=True)

    def _failure(self, error: Exception) -> AudioDecError:
        reason = getattr(error, "strerror", None) or error
        return AudioError(f"{self._target} cannot be written: {reason}")


class AudioOutput:
    """A sound file that is being written."""

    def __init__(self, file: soundfile.SoundFile, sink: _Sink) -> None:
        self._file, self._sink = file, sink

    def write(self, piece: NDArray[np.float32]) -> None:
        """Append [channels, n]. Raises OSError when the disk is full, or the like."""
        self._file.write(np.clip(piece, -1, 1).T)
        self._sink.check()


class _Sink:
    """A file as libsndfile is given it. It calls back from C, where an exception would be lost:
    the first one is kept, and nothing written after it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._error: OSError | None = None

    def check(self) -> None:
        """Raise OSError if anything went wrong."""
        if self._error is not None:
            raise self._error

    def write(self, data: bytes) -> int:
        if self._error is None:
            try:
                self._file.write(data)
            except OSError as error:
                self._error = error
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except OSError as error:  # what was buffered is written first
            self._error = self._error or error
            return 0

    def tell(self) -> int:
        return self._file.tell()

    def flush(self) -> None:
        if self._error is None:
            try:
                self._file.flush()
            except OSError as error:
                self._error = error


@contextmanager
def create_audio(
    out: BinaryIO, target: str, rate: int, channels: int, subtype: str | None = None
) -> Iterator[AudioOutput]:
    """Create a sound file in the format of the target's suffix, written through `out`.

    Formats have headers that are written last. So what is no plain file (see `is_stream`) gets the
    sound when it is complete, and until then it is kept in a temporary file. Without a suffix that
    says otherwise, it is WAV.

    Args:
        subtype: of the samples, as soundfile names it; the usual one if not given.

    Raises:
        AudioError: libsndfile does not write that.
        OSError: it cannot be written.
    """
    stream, suffix = is_stream(target), Path(target).suffix
    if stream and suffix.lower() not in AUDIO_SUFFIXES:
        suffix = ".wav"
    name = suffix[1:].upper()
    kind = {"OPUS": "OGG", "OGA": "OGG", "AIF": "AIFF"}.get(name, name)
    with tempfile.TemporaryFile() if stream else nullcontext(out) as file:
        sink = _Sink(file)
        try:
            audio = soundfile.SoundFile(
                sink, "w", rate, channels, "OPUS" if name == "OPUS" else subtype, format=kind
            )
        except (soundfile.SoundFileError, TypeError, ValueError) as error:
            sink.check()
            raise AudioError(
                f"{printable(target)} cannot be written as {name or 'audio without a suffix'} at "
                f"{rate} Hz with {channels} channels: {error}; try .wav or .flac"
            ) from None
        with audio:
            yield AudioOutput(audio, sink)
        sink.flush()
        sink.check()
        if stream:
            file.seek(0)
            shutil.copyfileobj(file, out)


def write_audio(audio: AudioOutput, piece: NDArray[np.float32]) -> None:
    """Append [channels, n], clipped to full scale."""
    if piece.shape[1]:
        audio.write(piece)
