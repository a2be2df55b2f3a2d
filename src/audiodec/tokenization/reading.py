"""Tokens back from a folder: `read_codes`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from audiodec.errors import FormatError, MissingExtraError, ModelError
from audiodec.pretrained import WEIGHTS, find_model, model_of_weights, read_info
from audiodec.tokenization.journal import Format, read_journal
from audiodec.tokenization.rows import Codes, Layout, Row
from audiodec.tokenization.webdataset import WebDataset


def layout_of(kind: Format) -> Layout:
    """Give the layout of that name. Raises MissingExtraError: Parquet without pyarrow."""
    if kind == "webdataset":
        return WebDataset()
    try:
        from audiodec.tokenization.parquet import Parquet
    except ImportError:
        raise MissingExtraError("Parquet", "scale") from None
    return Parquet()


def read_codes(folder: str | Path, model: str | Path | None = None) -> Iterator[tuple[Row, Codes]]:
    """Read what `audiodec tokenize` wrote, finished shards only, one file at a time.

    Args:
        folder: What `audiodec tokenize` was given as OUT.
        model: Name or folder of the model that is to decode the codes, so that
            `load(model).decode(codes, row.samples)` is the sound. If not given, any bundled model
            whose codes they are.

    Yields:
        A row, which says what file it was, and its codes, uint16, [codebooks, frames].

    Raises:
        ModelError: The codes are of another model.
        FormatError: The folder holds no tokens, or a shard is damaged, missing or of another job.
        MissingExtraError: Parquet without pyarrow.
    """
    settings, shards = read_journal(Path(folder))
    made = model_of_weights(bytes.fromhex(settings.weights)) if model is None else None
    info = read_info(made or find_model(model))
    if info.files[WEIGHTS] != settings.weights:
        raise ModelError(
            f"{folder} holds codes of model {settings.model} (weights {settings.weights[:16]}), "
            f"not of {info.id} ({info.files[WEIGHTS][:16]}): name the right one"
        )
    layout = layout_of(settings.format)
    for shard in shards:
        path, numbers = Path(folder) / shard.name, iter(shard.numbers)
        for row, codes in layout.read(path, settings):
            if row.number != next(numbers, None):
                raise FormatError(f"{path} holds other files than the journal says")
            yield row, codes
        if next(numbers, None) is not None:
            raise FormatError(f"{path} ends too early")
