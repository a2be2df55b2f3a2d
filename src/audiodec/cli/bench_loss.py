"""`audiodec bench loss`: codecs over a lossy network."""

from __future__ import annotations

from typing import Annotated

import typer

from audiodec.cli.bench_quality import Clips, print_scores
from audiodec.cli.common import Json, Model, check_clips, console


def loss(
    clips: Clips,
    bitrate: Annotated[float, typer.Option(help="kbps.")] = 12,
    rates: Annotated[
        list[float] | None,
        typer.Option("--loss", min=0, max=0.9, help="Share of packets lost; may be repeated."),
    ] = None,
    burst: Annotated[float, typer.Option(min=1, help="Mean length of a run of losses.")] = 3,
    jitter: Annotated[float, typer.Option(min=0, max=1, help="Seconds.")] = 0.02,
    model: Model = None,
    as_json: Json = False,
) -> None:
    """Measure quality over lost packets of 20 ms, with and without redundancy, beside Opus with its
    FEC."""
    from rich.progress import track

    import audiodec
    from audiodec.evaluation.loss import measure
    from audiodec.evaluation.quality import find_clips

    shares, paths = rates or [0.0, 0.01, 0.05, 0.1, 0.2], [c.path for c in find_clips(clips)]
    heard = check_clips(clips, paths)
    scores = measure(audiodec.load(model), bitrate, paths, shares, burst, jitter)
    total = 3 * len(paths) * len(shares)
    print_scores(list(track(scores, "scoring", total, console=console)), len(paths), as_json, heard)
