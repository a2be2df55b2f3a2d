"""`audiodec bench quality`: scores of codecs, all on the same clips."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiodec.cli.common import Json, Model, check_clips, console
from audiodec.cli.tables import print_table
from audiodec.errors import AudioError

if TYPE_CHECKING:
    from audiodec.evaluation.codecs import Spec
    from audiodec.evaluation.quality import Mean, Score

RATES_KBPS = (3.0, 6.0, 9.0, 12.0)  # kbps
BESIDE = ("ours", "opus", "opus-fullband")
NONE, ALL = "none", "all"

Clips = Annotated[
    list[Path], typer.Argument(help="Audio files, folders of them, or manifests (.csv).")
]
Codecs = Annotated[
    list[str] | None,
    typer.Option(
        "--codec",
        help="ours, opus, ... (docs/codecs.md), all that can run here, none for uncoded sound, or "
        "a model; may be repeated. Ours and Opus if not given.",
    ),
]
Rates = Annotated[
    list[float] | None,
    typer.Option(
        help="kbps; may be repeated. 3, 6, 9, 12 if not given; with --codec, all on offer."
    ),
]


def choose_codecs(
    codec: Sequence[str] | None, bitrate: Sequence[float] | None, model: str | None, beam_width: int
) -> list[Spec]:
    """Choose the specs that --codec and --bitrate ask for. Raises like `find_specs`."""
    from audiodec.evaluation.codecs import available, find_specs
    from audiodec.evaluation.quality import UncodedSpec

    rates = bitrate or (None if codec else RATES_KBPS)
    names = list(codec or BESIDE)
    if ALL in names:
        names += [name for name, missing in available().items() if missing is None]
    coded = [name for name in names if name not in (NONE, ALL)]
    specs: list[Spec] = find_specs(coded, rates, model, beam_width) if coded else []
    return [*specs, UncodedSpec()] if NONE in names else specs


def quality(
    clips: Clips,
    codec: Codecs = None,
    bitrate: Rates = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="Name as in docs/metrics.md; may be repeated. Six if not given."),
    ] = None,
    beam_width: Annotated[int, typer.Option(help="Of our encoder's search.")] = 1,
    model: Model = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    labels: Annotated[
        Path | None,
        typer.Option(help="Table (.csv) of clip, speaker, language, gender, group, where known."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for every score (scores.parquet); a run killed goes on there."),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(help="Clip (name without suffix) whose sounds are kept in --out, for the "
                     "report; may be repeated."),
    ] = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Score codecs on the same clips, in one run."""
    from rich.progress import track

    from audiodec.evaluation.metrics import METRICS
    from audiodec.evaluation.quality import Benchmark, Store, find_clips, write_scores
    from audiodec.evaluation.quality.about import about_run

    if keep and out is None:
        raise AudioError("--keep needs --out, the folder to keep sounds in")
    found = find_clips(clips, labels)
    heard = check_clips(clips, [clip.path for clip in found])
    specs, metrics = choose_codecs(codec, bitrate, model, beam_width), tuple(metric or METRICS)
    folder = _folder(out) if out else None
    store = Store(folder / "cache.sqlite" if folder else None)
    run = Benchmark(specs, found, metrics, store, keep or (), folder / "sounds" if folder else None)
    if done := len(specs) * len(found) - len(run.tasks):
        console.print(f"{done} of {len(specs) * len(found)} are known already")
    if run.tasks:
        for _ in track(run.run(jobs), "scoring", len(run.tasks), console=console):
            pass
    scores = run.scores()
    if folder:
        write_scores(scores, about_run(found), folder / "scores.parquet")
    print_scores(scores, len(found), as_json, heard)


def _folder(out: Path) -> Path:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AudioError(f"folder {out} cannot be written: {error.strerror}") from None
    return out


def print_scores(
    scores: Sequence[Score], clips: int, as_json: bool, heard: Mapping[str, Any]
) -> None:
    """Print means by codec, on stdout.

    Args:
        heard: what is wrong with the clips, from `check_clips`.
    """
    from audiodec.evaluation.quality import LABELS, groups, summarise

    summary = summarise(scores)
    metrics = list(dict.fromkeys(name for s in scores for name in s.values))
    if as_json:
        by = {
            label: {value: _plain(summarise(own)) for value, own in groups(scores, label).items()}
            for label in LABELS
        }
        typer.echo(json.dumps({"clips": clips, "codecs": _plain(summary), "by": by, **heard}))
        return
    rows = []
    for name, row in summary.items():
        cells = [f"{row['kbps'].value:.2f}"]
        for metric in metrics:
            mean = row.get(metric)
            cells.append(f"{mean.value:.3f} {mean.plus_minus(3)}".strip() if mean else "-")
        rows.append([name, *cells])
    title = f"{clips} clips, mean and half the 95 % bootstrap interval"
    print_table(("codec", "measured kbps", *metrics), rows, title=title)


def _plain(summary: dict[str, dict[str, Mean]]) -> dict[str, Any]:
    return {
        codec: {metric: dataclasses.asdict(mean) for metric, mean in row.items()}
        for codec, row in summary.items()
    }
