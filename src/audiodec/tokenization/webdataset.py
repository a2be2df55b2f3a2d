"""Shards as WebDataset tar: for each file `NUMBER.json`, its row, and `NUMBER.npy`, its codes."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from audiodec.config import from_data, to_data
from audiodec.errors import ConfigError, FormatError
from audiodec.tokenization.journal import Settings
from audiodec.tokenization.rows import Codes, Row, shaped

MAX_JSON = 1 << 16  # bytes


class WebDataset:
    """Shards as tar files, which WebDataset reads."""

    suffix = ".tar"

    def write(self, file: BinaryIO, rows: Sequence[tuple[Row, Codes]], settings: Settings) -> None:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for row, codes in rows:
                array = io.BytesIO()
                np.lib.format.write_array(array, codes, version=(1, 0), allow_pickle=False)
                about = {**to_data(row), "audiodec": to_data(settings)}
                for suffix, data in (("json", json.dumps(about).encode()),
                                     ("npy", array.getvalue())):  # fmt: skip
                    member = tarfile.TarInfo(f"{row.number:09d}.{suffix}")
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))

    def read(self, path: Path, settings: Settings) -> Iterator[tuple[Row, Codes]]:
        try:
            with tarfile.open(path, "r:") as tar:
                while (member := tar.next()) is not None:
                    about = json.loads(_content(tar, member, MAX_JSON))
                    if not isinstance(about, dict) or about.pop("audiodec", None) != to_data(
                        settings
                    ):
                        raise FormatError(f"{path} is no shard of this job")
                    row = from_data(Row, about, str(path))
                    content = _content(tar, tar.next(), path.stat().st_size)
                    yield row, shaped(row, _array(content), settings)
        except (OSError, ValueError, ConfigError, tarfile.TarError, RecursionError) as error:
            raise FormatError(f"{path} is damaged: {error}") from None


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo | None, most: int) -> bytes:
    file = tar.extractfile(member) if member and member.isreg() and member.size <= most else None
    if file is None:
        raise ValueError("a member is missing, too long or no file")
    return file.read()


def _array(data: bytes) -> Codes:
    """Read the array of a .npy file; what its header claims is checked before anything is
    allocated."""
    file = io.BytesIO(data)
    np.lib.format.read_magic(file)
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if fortran or dtype != np.uint16 or len(shape) != 2:
        raise ValueError("codes are no [codebooks, frames] of uint16")
    return np.frombuffer(data, np.uint16, offset=file.tell())
