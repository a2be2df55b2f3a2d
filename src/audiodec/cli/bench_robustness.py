"""`audiodec bench robustness`: what a model makes of difficult input."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiodec.cli.bench_quality import Clips
from audiodec.cli.common import Json, Model, check_clips, console
from audiodec.cli.tables import print_table

if TYPE_CHECKING:
    from audiodec.evaluation.robustness import Heard


def robustness(
    clips: Clips,
    noise: Annotated[Path | None, typer.Option(help="Folder of noise; none if not given.")] = None,
    music: Annotated[Path | None, typer.Option(help="Folder of music; none if not given.")] = None,
    model: Model = None,
    as_json: Json = False,
) -> None:
    """Try noise, rooms, whispers, music, silence, clipping...: what comes out, what must not."""
    import numpy as np
    import soxr
    from rich.progress import track

    import audiodec
    from audiodec.evaluation.codecs import RATE
    from audiodec.evaluation.conditions import conditions
    from audiodec.evaluation.quality import find_clips, read_clip
    from audiodec.evaluation.robustness import measure, summarise

    codec = audiodec.load(model)
    rate, paths = codec.sample_rate, [clip.path for clip in find_clips(clips)]
    heard_wrong = check_clips(clips, paths)
    found = [read_clip(path) for path in paths]
    voices = [np.asarray(soxr.resample(samples, RATE, rate), np.float32) for samples in found]
    made = conditions(rate, voices, noise, music)
    total = len(made) * len(voices)
    heard = list(track(measure(codec, voices, made), "scoring", total, console=console))
    rows = summarise(heard)
    if as_json:
        result = {
            "model": codec.info.id,
            "bitrate_kbps": codec.bitrates[-1],
            "conditions": [dataclasses.asdict(row) for row in rows],
            **heard_wrong,
        }
        typer.echo(json.dumps(result))
        return
    _print(f"{codec.info.id}, {codec.bitrates[-1]:g} kbps, {len(voices)} clip(s)", rows)


def _print(title: str, rows: list[Heard]) -> None:
    from audiodec.evaluation.robustness import METRICS

    cells = []
    for row in rows:
        scores = [row.scores[name] for name in METRICS]
        levels = (f"{level:.1f}" for level in (row.level_in, row.level_out, row.peak))
        values = ("-" if value is None else f"{value:.3f}" for value in scores)
        cells.append([row.condition, *levels, *values, ", ".join(row.broken) or "kept"])
    print_table(
        ("condition", "in", "out", "peak", *METRICS, "promises"),
        cells,
        title=title,
        caption="in, out: mean RMS in dBFS; peak: the highest of the output, dBFS; "
        "scores: against what went in",
    )
