"""What a folder of tokens holds: `journal.jsonl`, its settings and one line per finished shard.

A shard counts from the moment its line is in the journal. The line is written after the shard, so
a shard without a line is what a kill left behind, and is removed before the next begins.
"""

from __future__ import annotations

import json
import os
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Annotated, Literal, Self

from filelock import FileLock, Timeout
from pydantic import Field

from audiodec.audio_files.writing import PART
from audiodec.config import Sha256, config, formerly, from_data, to_data
from audiodec.errors import AudioDecError, ConfigError, FormatError

JOURNAL = "journal.jsonl"
LOCK = "journal.lock"  # held while a process writes; the file itself stays
SHARD = "shard-"  # what the names of shards begin with
MAX_LINE = 1 << 28  # bytes; a line names every file of a shard
Natural = Annotated[int, Field(ge=0)]
Format = Literal["parquet", "webdataset"]


@config
class Settings:
    """What makes the tokens; two runs into one folder must agree in all of it.

    Attributes:
        weights: SHA-256 of the model's weights.
        sample_rate: Hz of the model.
        hop: samples per frame.
        list_sha256: of the list of files.
        shard_hours: of audio, after which a shard is closed.
    """

    version: Literal[1] = 1
    model: str
    weights: Sha256
    sample_rate: Annotated[int, Field(gt=0)]
    hop: Annotated[int, Field(gt=0)]
    codebook_size: Annotated[int, Field(ge=2, le=65536)]
    codebooks: Annotated[int, Field(gt=0), formerly("codebooks", "stages")]
    beam_width: Annotated[int, Field(gt=0), formerly("beam_width", "effort")]
    format: Format
    shard_hours: Annotated[float, Field(gt=0)]
    files: Annotated[int, Field(gt=0)]
    list_sha256: Sha256


@config
class Shard:
    """A finished shard: its file, how long its audio is, and which files of the list it has."""

    name: Annotated[str, Field(pattern=r"^shard-[0-9]{5,9}\.(parquet|tar)$")]
    seconds: Annotated[float, Field(ge=0)]
    numbers: list[Natural]


def read_journal(folder: Path) -> tuple[Settings, list[Shard]]:
    """Read the settings and the finished shards.

    Raises:
        FormatError: there is no journal, or it is not one.
    """
    settings, shards, _ = _read(folder / JOURNAL)
    return settings, shards


def _read(path: Path) -> tuple[Settings, list[Shard], int]:
    """Also how many bytes are whole lines: a kill may leave the last one torn."""
    settings, shards, good = None, [], 0
    try:
        with path.open("rb") as file:
            while (line := file.readline(MAX_LINE)).endswith(b"\n"):
                data = json.loads(line)
                if settings is None:
                    settings = from_data(Settings, data, str(path))
                else:
                    shards.append(from_data(Shard, data, str(path)))
                good += len(line)
    except (OSError, ValueError, ConfigError, RecursionError) as error:
        raise FormatError(f"{path} is no journal of audiodec tokenize: {error}") from None
    if settings is None:
        raise FormatError(f"{path} is no journal of audiodec tokenize: it has no settings")
    return settings, shards, good


class Journal:
    """The journal of a folder, held by one process at a time.

    Attributes:
        done: numbers of the files that finished shards have.
        shards: the finished shards, oldest first.

    Raises:
        ConfigError: the folder was begun with other settings, or holds something else.
        AudioDecError: another process is at it.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._folder, self._path = folder, folder / JOURNAL
        others = {path.name for path in folder.iterdir()} - {LOCK} if folder.is_dir() else set()
        if others and JOURNAL not in others:
            raise ConfigError(f"{folder} holds other files: choose a new folder")
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(folder / LOCK)
        try:  # the system gives the lock back when the process is gone, however it went
            self._lock.acquire(blocking=False)
        except Timeout:
            raise AudioDecError(f"another audiodec tokenize is writing to {folder}") from None
        except (NotImplementedError, OSError) as error:
            raise AudioDecError(f"{folder} cannot be locked: {error}") from None
        try:
            self._file = self._path.open("ab")
        except BaseException:
            self._lock.release()
            raise
        try:
            self.shards = self._open(settings)
        except BaseException:
            self._close()
            raise
        self.done = {number for shard in self.shards for number in shard.numbers}
        self._sweep()

    def _open(self, settings: Settings) -> list[Shard]:
        if b"\n" in self._path.read_bytes()[:MAX_LINE]:  # else new, or killed at its first line
            found, shards, good = _read(self._path)
            if shards:
                self._check(found, settings)
                self._file.truncate(good)
                return shards
        self._file.truncate(0)
        self._append(settings)
        return []

    def _check(self, found: Settings, settings: Settings) -> None:
        for field in fields(Settings):
            was, now = getattr(found, field.name), getattr(settings, field.name)
            if was != now:
                listed = field.name in ("files", "list_sha256")
                what = "list of files" if listed else f"{field.name} ({was}, now {now})"
                raise ConfigError(
                    f"{self._folder} was begun with another {what}: choose another folder"
                )

    def _sweep(self) -> None:
        """Remove shards that are not in the journal: their files will be coded again."""
        known = {shard.name for shard in self.shards}
        for path in self._folder.iterdir():
            if path.name.startswith((SHARD, PART)) and path.name not in known:
                path.unlink()

    def next_name(self, suffix: str) -> str:
        """Name the file of the next shard."""
        return f"{SHARD}{len(self.shards):05d}{suffix}"

    def add(self, shard: Shard) -> None:
        """Note a shard that is on disk: from now on it counts."""
        self._append(shard)
        self.shards.append(shard)
        self.done.update(shard.numbers)

    def _append(self, line: Settings | Shard) -> None:
        self._file.write(json.dumps(to_data(line)).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def _close(self) -> None:
        self._file.close()
        self._lock.release()
