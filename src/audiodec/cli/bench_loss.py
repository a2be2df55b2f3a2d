"""`audiodec bench loss`: codecs over a lossy network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audiodec.cli.bench_quality import Clips, print_scores
from audiodec.cli.common import Json, Model, check_clips, console
from audiodec.errors import ConfigError

PICTURES = (".svg", ".pdf", ".png")


def loss(
    clips: Clips,
    bitrate: Annotated[float, typer.Option(help="kbps.")] = 12,
    rates: Annotated[
        list[float] | None,
        typer.Option("--loss", min=0, max=0.9, help="Share of packets lost; may be repeated."),
    ] = None,
    burst: Annotated[
        list[float] | None,
        typer.Option(
            min=1, help="Mean length of a run of losses; may be repeated. If not given, 3."
        ),
    ] = None,
    trace: Annotated[
        list[Path] | None,
        typer.Option(
            help="Recorded losses instead: a text file of 0 (came) and 1 (lost) for each packet "
            "of 20 ms; may be repeated."
        ),
    ] = None,
    jitter: Annotated[float, typer.Option(min=0, max=1, help="Seconds.")] = 0.02,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="Name as in docs/metrics.md; may be repeated. Three if not given."),
    ] = None,
    first: Annotated[
        int | None, typer.Option(min=1, help="Take only so many clips: for a quick look.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Picture to draw: .svg, .pdf or .png.")] = None,
    model: Model = None,
    as_json: Json = False,
) -> None:
    """Measure quality and delay over lost packets, with and without redundancy, beside Opus."""
    from rich.progress import track

    import audiodec
    from audiodec.evaluation.loss import METRICS, Speech, gilbert_pattern, measure, read_trace
    from audiodec.evaluation.quality import find_clips

    if plot is not None and plot.suffix not in PICTURES:
        raise ConfigError(f"--plot {plot} must end in {', '.join(PICTURES)}")
    paths = [clip.path for clip in find_clips(clips)][:first]
    heard = check_clips(clips, paths)
    speech = Speech.read(paths)
    patterns = [read_trace(path) for path in trace or ()]
    if rates or not patterns:
        for share in rates or [0.0, 0.01, 0.05, 0.1, 0.2]:
            lengths = (burst or [3.0]) if share else [1.0]
            patterns += [gilbert_pattern(share, length, speech.seconds) for length in lengths]
    for pattern in patterns:
        console.print(
            f"{pattern.name}: {pattern.share:.1%} lost, {pattern.burst:.1f} packets in a row"
        )
    metrics = metric or METRICS
    scores = measure(audiodec.load(model), bitrate, speech, patterns, jitter, metrics)
    total = 3 * len(paths) * len(patterns)
    listed = list(track(scores, "scoring", total, console=console))
    print_scores(listed, len(paths), as_json, heard)
    if plot is not None:
        from audiodec.evaluation.loss_plot import draw

        draw(listed, plot)
