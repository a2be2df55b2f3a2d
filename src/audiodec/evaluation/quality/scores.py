"""The table of every score: one row for each clip through each codec, as Parquet."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audiodec.audio_files.writing import write_whole
from audiodec.errors import ConfigError, MissingExtraError

LABELS = ("speaker", "language", "gender", "group")  # by which means are made, where known
ABOUT = b"audiodec"  # key of the file's metadata: how it came about, as JSON


@dataclass(frozen=True)
class Score:
    """One clip through one codec.

    Attributes:
        kbps: measured from packets.
        lag: samples by which the codec was late, beyond its declared delay.
        values: metrics by name, None where the clip is beyond a metric.
        family: the rate-quality curve the codec lies on.
        nominal: kbps asked for.
        latency_ms: algorithmic; infinite where the codec needs the whole signal.
        labels: what is known of the clip, by LABELS.
    """

    codec: str
    clip: str
    kbps: float
    lag: int
    values: Mapping[str, float | None]
    family: str = ""
    nominal: float = 0.0
    latency_ms: float = 0.0
    labels: Mapping[str, str] = field(default_factory=dict)


FIXED = ("codec", "family", "nominal", "latency_ms", "clip", "kbps", "lag")


def write_scores(scores: Sequence[Score], about: Mapping[str, Any], path: Path) -> None:
    """Replace the table whole.

    Args:
        about: how the scores came about: versions, settings; can be JSON.

    Raises:
        MissingExtraError: pyarrow is not installed.
        AudioError: the file cannot be written.
    """
    pa, parquet = _arrow()
    metrics = dict.fromkeys(name for s in scores for name in s.values)
    columns: dict[str, Any] = {name: [getattr(s, name) for s in scores] for name in FIXED}
    columns |= {
        name: pa.array([s.labels.get(name) for s in scores], pa.string()) for name in LABELS
    }
    columns |= {
        name: pa.array([s.values.get(name) for s in scores], pa.float64()) for name in metrics
    }
    table = pa.table(columns).replace_schema_metadata({ABOUT: json.dumps(about)})
    with write_whole(str(path)) as file:
        parquet.write_table(table, file, compression="zstd")


def read_scores(path: Path) -> tuple[list[Score], dict[str, Any]]:
    """Gather the scores, and how they came about.

    Raises:
        MissingExtraError: pyarrow is not installed.
        ConfigError: it is no table of `audiodec bench quality`.
    """
    pa, parquet = _arrow()
    try:
        table = parquet.read_table(path, memory_map=False)
        about = json.loads((table.schema.metadata or {})[ABOUT])
        metrics = [n for n in table.column_names if n not in (*FIXED, *LABELS)]
        scores = [
            Score(
                **{name: row[name] for name in FIXED},
                values={name: row[name] for name in metrics},
                labels={name: row[name] for name in LABELS if row.get(name) is not None},
            )
            for row in table.to_pylist()
        ]
    except (OSError, KeyError, ValueError, TypeError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"{path} is no table of audiodec bench quality: {reason}") from None
    return scores, about


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError("the table of scores", "bench") from None
    return pyarrow, pyarrow.parquet
