"""Shards as Parquet: a column for each field of a row, and `codes`, list<uint16>."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from audiodec.config import from_data, to_data
from audiodec.errors import ConfigError, FormatError
from audiodec.tokenization.journal import Settings
from audiodec.tokenization.rows import Codes, Row, shaped

KEY = b"audiodec"  # in the schema's metadata: the settings as JSON
READ_ROWS = 64  # rows at a time
SCHEMA = pa.schema(
    [(name, pa.string() if name in ("path", "speaker", "split") else pa.int64())
     for name in (field.name for field in fields(Row))]
    + [("codes", pa.list_(pa.uint16()))]
)  # fmt: skip


class Parquet:
    """Shards as Parquet files (needs pyarrow)."""

    suffix = ".parquet"

    def write(self, file: BinaryIO, rows: Sequence[tuple[Row, Codes]], settings: Settings) -> None:
        ends = np.cumsum([0, *(codes.size for _, codes in rows)])
        flat = np.concatenate([codes.ravel() for _, codes in rows])
        columns = [[getattr(row, name) for row, _ in rows] for name in SCHEMA.names[:-1]]
        arrays = [
            pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=False)
        ]
        arrays.append(pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(flat)))
        schema = SCHEMA.with_metadata({KEY: json.dumps(to_data(settings))})
        pq.write_table(pa.Table.from_arrays(arrays, schema=schema), file, compression="zstd")

    def read(self, path: Path, settings: Settings) -> Iterator[tuple[Row, Codes]]:
        try:
            with pq.ParquetFile(path) as table:
                about = json.loads((table.schema_arrow.metadata or {}).get(KEY, b"null"))
                if not table.schema_arrow.equals(SCHEMA) or about != to_data(settings):
                    raise FormatError(f"{path} is no shard of this job")
                for batch in table.iter_batches(READ_ROWS):
                    listed = batch.column("codes")
                    for index, data in enumerate(batch.drop_columns(["codes"]).to_pylist()):
                        row = from_data(Row, data, str(path))
                        codes = listed[index].values.to_numpy()
                        yield row, shaped(row, codes, settings)
        except (OSError, ValueError, ConfigError, AttributeError, pa.ArrowException) as error:
            raise FormatError(f"{path} is damaged: {error}") from None
