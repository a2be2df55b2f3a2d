"""What looking at the bytes of a sound file finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from audiodec.audio_files.view import Part

MAX_TAG_BYTES = 4096  # behind the sound, that are taken for tags and padding, not for sound


@dataclass(frozen=True)
class Finding:
    """How to read a file, and what is wrong with it.

    Attributes:
        links: sounds that follow each other in the file; what libsndfile is given of each.
        claimed: how many times as much sound as there is the header claims.
        promised: samples per channel that the header promises, where it says so itself.
        trusted: libsndfile counts its samples right; else only decoding tells how many there are.
        remarks: what is wrong, each to follow the file's name.
        refused: why the file should not be given to libsndfile at all.
    """

    links: tuple[tuple[Part, ...], ...]
    claimed: float = 1.0
    promised: int = 0
    trusted: bool = True
    remarks: tuple[str, ...] = ()
    refused: str = ""

    @classmethod
    def whole(cls, size: int, *remarks: str, claimed: float = 1.0, trusted: bool = True) -> Self:
        """Make the finding of one sound, as it stands in the file."""
        return cls((((0, size),),), claimed, trusted=trusted, remarks=remarks)


def left_over(count: int) -> tuple[str, ...]:
    """Word the remark on bytes behind the end of the sound, where they are more than tags."""
    return (f"{count} bytes behind its end are left out",) if count > MAX_TAG_BYTES else ()
