"""Rows into shards: gathered until they make one, written, and noted in the journal."""

from __future__ import annotations

import os
from pathlib import Path

from audiodec.audio_files.writing import write_whole
from audiodec.tokenization.journal import Journal, Settings, Shard
from audiodec.tokenization.rows import Codes, Layout, Row

SECONDS_PER_HOUR = 3600


class Output:
    """The shards of one run; `flush` when it ends.

    Codes wait in memory, 8.6 MB for an hour at 12 kbps, so that a shard is written in one go.
    """

    def __init__(self, folder: Path, journal: Journal, layout: Layout, settings: Settings) -> None:
        self._folder, self._journal = folder, journal
        self._layout, self._settings = layout, settings
        self._clear()

    def _clear(self) -> None:
        self._rows: list[tuple[Row, Codes]] = []
        self._seconds = 0.0

    def add(self, row: Row, codes: Codes) -> None:
        """Add the codes [codebooks, frames] of a file."""
        self._rows.append((row, codes))
        self._seconds += row.samples / row.sample_rate
        if self._seconds >= self._settings.shard_hours * SECONDS_PER_HOUR:
            self.flush()

    def flush(self) -> None:
        """Close the shard that is being filled, if anything is in it."""
        rows, seconds = self._rows, self._seconds
        self._clear()  # first: what is interrupted below is coded again, never written twice
        if not rows:
            return
        name = self._journal.next_name(self._layout.suffix)
        with write_whole(str(self._folder / name)) as file:
            self._layout.write(file, rows, self._settings)
            file.flush()
            os.fsync(file.fileno())
        numbers = [row.number for row, _ in rows]
        self._journal.add(Shard(name=name, seconds=seconds, numbers=numbers))
