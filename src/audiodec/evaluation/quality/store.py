"""Scores already made, by content: what clip, what codec, what metric, what version of this."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path

from audiodec.errors import AudioError

SCHEMA = """
create table if not exists scores (
  clip text, codec text, metric text, value real, primary key (clip, codec, metric)
) without rowid
"""


class Store:
    """Values by clip and codec. A run that is killed loses what it was at, and nothing else.

    Args:
        path: of the SQLite file; in memory if not given.

    Raises:
        AudioError: it cannot be opened.
    """

    def __init__(self, path: Path | None = None) -> None:
        try:
            self.database = sqlite3.connect(path or ":memory:")
            self.database.execute(SCHEMA)
        except sqlite3.Error as error:
            raise AudioError(f"{path} cannot be used: {error}; remove it to start anew") from None

    def get(self, clip: str, codec: str) -> dict[str, float | None]:
        """Read all values of a clip (its digest) through a codec (its identity)."""
        rows = self.database.execute(
            "select metric, value from scores where clip = ? and codec = ?", (clip, codec)
        )
        return dict(rows.fetchall())

    def put(self, clip: str, codec: str, values: Mapping[str, float | None]) -> None:
        """Add values, on disk when this returns. Raises AudioError when they cannot be written."""
        rows = [(clip, codec, metric, value) for metric, value in values.items()]
        try:
            with self.database:
                self.database.executemany("insert or replace into scores values (?, ?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise AudioError(f"scores cannot be stored: {error}") from None
