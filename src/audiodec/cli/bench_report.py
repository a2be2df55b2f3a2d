"""`audiodec bench report`: scores as a page to look at and listen to, or as a Markdown table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audiodec.audio_files.writing import write_whole
from audiodec.errors import ConfigError, MissingExtraError


def report(
    scores: Annotated[Path, typer.Argument(help="scores.parquet of `bench quality --out`.")],
    out: Annotated[Path, typer.Argument(help="Page (.html) or table (.md) to write.")],
    clip: Annotated[
        list[str] | None,
        typer.Option(help="Clip kept with --keep, to show spectrograms of; may be repeated."),
    ] = None,
    codec: Annotated[
        list[str] | None,
        typer.Option(help="Codec to show of the clips, as the table names it; all if not given."),
    ] = None,
    audio: Annotated[
        bool, typer.Option("--audio", help="Put the sound of the clips into the page.")
    ] = False,
) -> None:
    """Write the report: one file that needs nothing else."""
    from audiodec.evaluation.quality import read_scores

    try:
        from audiodec.evaluation.report import markdown, page, read_sounds
    except ImportError:
        raise MissingExtraError("a report", "bench") from None

    if out.suffix not in (".html", ".md"):
        raise ConfigError(f"{out}: a report ends in .html or .md")
    rows, about = read_scores(scores)
    names = list(dict.fromkeys(s.codec for s in rows))
    if unknown := next((name for name in codec or () if name not in names), None):
        raise ConfigError(f"no codec {unknown!r} in {scores}: it has {', '.join(names)}")
    if out.suffix == ".md":
        text = markdown(rows)
    else:
        folder = scores.parent / "sounds"
        shown = [read_sounds(folder, name, codec or names, audio) for name in clip or ()]
        text = page(rows, about, shown)
    with write_whole(str(out)) as file:
        file.write(text.encode())
