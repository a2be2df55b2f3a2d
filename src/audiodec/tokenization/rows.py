"""What one file becomes in a shard, and the shape of the two formats. See docs/tokenize.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from audiodec.config import config, formerly
from audiodec.errors import FormatError
from audiodec.tokenization.journal import Settings

Positive = Annotated[int, Field(gt=0)]
Codes = NDArray[np.uint16]  # [codebooks, frames]


@config
class Row:
    """Everything about a file but its codes.

    Attributes:
        number: place in the list that was tokenised.
        path, speaker, split: as that list has them.
        sample_rate: Hz of the model.
        samples: at that rate, the length to give to `Codec.decode`.
        original_rate, original_samples: of the file itself.
    """

    number: Annotated[int, Field(ge=0)]
    path: str
    speaker: str
    split: str
    sample_rate: Positive
    samples: Positive
    original_rate: Positive
    original_samples: Positive
    codebooks: Annotated[Positive, formerly("codebooks", "stages")]
    frames: Positive


class Layout(Protocol):
    """One kind of shard."""

    suffix: str

    def write(self, file: BinaryIO, rows: Sequence[tuple[Row, Codes]], settings: Settings) -> None:
        """Write a whole shard to a file."""
        ...

    def read(self, path: Path, settings: Settings) -> Iterator[tuple[Row, Codes]]:
        """Read the rows of a shard. Raises FormatError when it is damaged or of another job."""
        ...


def shaped(row: Row, codes: Codes, settings: Settings) -> Codes:
    """Shape flat codes as [codebooks, frames]. Raises FormatError where a row cannot be true."""
    true = (
        (row.codebooks, row.sample_rate) == (settings.codebooks, settings.sample_rate)
        and row.frames == -(-row.samples // settings.hop)
        and codes.size == row.codebooks * row.frames
        and int(codes.max()) < settings.codebook_size
    )
    if not true:
        raise FormatError(f"the row of {row.path} contradicts itself or the job's settings")
    return codes.reshape(row.codebooks, row.frames)
