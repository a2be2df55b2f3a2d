"""What several commands share: options, progress, tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from audiodec.adc import Progress
from audiodec.audio_files.names import PIPE
from audiodec.errors import AudioError

Model = Annotated[
    str | None, typer.Option(help="Bundled model or model folder; the default if not given.")
]
Bitrate = Annotated[float | None, typer.Option(help="kbps; the model's highest if not given.")]
BeamWidth = Annotated[
    int, typer.Option(help="Code sequences kept per frame, 1 to 64; 1 is fastest, for streams.")
]
Mono = Annotated[bool, typer.Option("--mono", help="Mix all channels into one.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

console = Console(stderr=True, highlight=False)  # stdout is for results and pipes


@contextmanager
def progress(label: str, total: float | None) -> Iterator[Progress]:
    """A bar over seconds of audio, shown on a terminal only.

    Args:
        total: seconds, if known.
    """
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} s of audio"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=total)
        yield lambda seconds: bar.advance(task, seconds)


def duration(path: str) -> float | None:
    """Seconds of an audio file; None where that cannot be told beforehand."""
    import soundfile

    try:
        return None if path == PIPE else float(soundfile.info(path).duration)
    except (OSError, soundfile.SoundFileError):
        return None


def pairs(source: str, target: str, suffixes: set[str], to: str) -> list[tuple[str, str]]:
    """(input, output) files: one pair, or the matching files of a folder, tree kept.

    Args:
        suffixes: of inputs, lower case, with dot.
        to: suffix of outputs.

    Raises:
        AudioError: the folder holds no such file, or two inputs would share an output.
    """
    folder = Path(source)
    if source == PIPE or not folder.is_dir():
        return [(source, target)]
    inputs = [p for p in sorted(folder.rglob("*")) if p.suffix.lower() in suffixes]
    if not inputs:
        raise AudioError(f"{source} holds no file ending in {', '.join(sorted(suffixes))}")
    outputs = [Path(target) / p.relative_to(folder).with_suffix(to) for p in inputs]
    if len(set(outputs)) < len(outputs):
        twice = next(o for o in outputs if outputs.count(o) > 1)
        raise AudioError(f"two inputs would both become {twice}: rename one")
    for output in outputs:
        output.parent.mkdir(parents=True, exist_ok=True)
    return [(str(i), str(o)) for i, o in zip(inputs, outputs, strict=True)]
