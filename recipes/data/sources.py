"""The table of sources, sources.toml, and how speakers are found in their files."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path

TABLE = Path(__file__).with_name("sources.toml")


@dataclass(frozen=True)
class Source:
    """One entry of the table; sources.toml explains the fields."""

    name: str
    origin: str
    files: str
    licence: str
    attribution: str
    count: int
    sha256: str
    layout: str = "paths"
    language: str = ""
    gender: str = ""
    bandwidth: float | None = None
    band: tuple[float, float] = (0, math.inf)
    min_snr: float = 0


def read_table() -> list[Source]:
    """Raises TypeError when an entry has an unknown field or lacks one."""
    with TABLE.open("rb") as file:
        return [Source(name=name, **entry) for name, entry in tomllib.load(file).items()]
