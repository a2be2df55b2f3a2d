"""`audiodec bench codebooks`: how evenly the codebooks are used."""

from __future__ import annotations

import dataclasses
import json
import math

import typer

from audiodec.cli.bench_quality import Clips
from audiodec.cli.common import BeamWidth, Json, Model, check_clips, console
from audiodec.cli.tables import print_table


def codebooks(
    clips: Clips,
    beam_width: BeamWidth = 1,
    model: Model = None,
    as_json: Json = False,
) -> None:
    """Measure perplexity and entropy of each codebook's codes on these clips."""
    from rich.progress import track

    import audiodec
    from audiodec.evaluation.codebooks import count, usage
    from audiodec.evaluation.codecs import RATE
    from audiodec.evaluation.quality.clips import find_clips, read_clip

    codec = audiodec.load(model)
    size, paths = codec.config.quantizer.codebook_size, [clip.path for clip in find_clips(clips)]
    heard = check_clips(clips, paths)
    codes = (
        codec.encode(read_clip(path), beam_width=beam_width, sample_rate=RATE)
        for path in track(paths, "coding", console=console)
    )
    counts = count(codes, size)
    rows, frames = list(usage(counts)), int(counts[0].sum())
    if as_json:
        found = [dataclasses.asdict(row) for row in rows]
        typer.echo(
            json.dumps({"model": codec.info.id, "frames": frames, "codebooks": found, **heard})
        )
        return
    bits = sum(row.bits for row in rows)
    print_table(
        ("codebook", "perplexity", "% of codes", "entropy, bits", "codes used"),
        [
            [str(row.codebook), f"{row.perplexity:.0f}", f"{100 * row.perplexity / size:.0f}",
             f"{row.bits:.2f}", str(row.used)]
            for row in rows
        ],
        title=f"{codec.info.id}, {len(paths)} clips, {frames} frames, codebooks of {size}",
        caption=f"{bits:.1f} bits of entropy a frame, sent as {len(rows) * math.log2(size):g}",
    )  # fmt: skip
