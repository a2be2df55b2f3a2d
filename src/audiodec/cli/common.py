"""What several commands share: options, progress, tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from audiodec.adc import Progress
from audiodec.audio_files.folder import list_folder
from audiodec.audio_files.names import PIPE, printable
from audiodec.audio_files.reading import describe_audio
from audiodec.errors import AudioDecError, AudioError

T = TypeVar("T")

Model = Annotated[
    str | None, typer.Option(help="Bundled model or model folder; the default if not given.")
]
Bitrate = Annotated[float | None, typer.Option(help="kbps; the model's highest if not given.")]
BeamWidth = Annotated[
    int, typer.Option(help="Code sequences kept per frame, 1 to 64; 1 is fastest, for streams.")
]
Mono = Annotated[bool, typer.Option("--mono", help="Mix all channels into one.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

# On stderr, as stdout is for results and pipes; without markup, as names may have brackets in them.
console = Console(stderr=True, highlight=False, markup=False, emoji=False)
results = Console(highlight=False, markup=False, emoji=False)


def warn(lines: Iterable[str]) -> None:
    """Say what is wrong with an input, each in one line."""
    for line in lines:
        console.print(f"warning: {line}", soft_wrap=True)


def pass_over(lines: Iterable[str]) -> None:
    """Say what is left out of a job, each in one line."""
    for line in lines:
        console.print(f"left out: {line}", soft_wrap=True)


def check_clips(sources: Iterable[Path], clips: Iterable[Path]) -> dict[str, Any]:
    """Say what is left out of folders, and what is wrong with the clips that were found.

    Returns:
        the same for JSON: `missing_seconds` and `warnings`.
    """
    for source in sources:
        if source.is_dir():
            pass_over(list_folder(source).left_out)
    facts = [describe_audio(str(path)) for path in clips]
    warnings = [line for one in facts for line in one.warnings]
    warn(warnings)
    return {"missing_seconds": sum(one.missing_seconds for one in facts), "warnings": warnings}


@contextmanager
def progress(label: str, total: float | None) -> Iterator[Progress]:
    """Show a bar over seconds of audio, on a terminal only.

    Args:
        total: seconds, if known.
    """
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:.0f} s of audio"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(printable(label), total=total)
        yield lambda seconds: bar.advance(task, seconds)


def duration(path: str) -> float | None:
    """Measure the seconds of an audio file; None where that cannot be told beforehand."""
    if path == PIPE or not Path(path).is_file():  # a named pipe can be read only once
        return None
    try:
        return describe_audio(path).seconds
    except AudioError:
        return None


def pairs(source: str, target: str, suffixes: set[str], to: str) -> list[tuple[str, str]]:
    """Pair inputs and outputs: two files, or the matching files of a folder, tree kept.

    Args:
        suffixes: of inputs, lower case, with dot.
        to: suffix of outputs.

    Raises:
        AudioError: the folder holds no such file, two inputs would share an output, or an output
            would overwrite an input.
    """
    if not source or not target:
        raise AudioError("a name is empty: is it a variable that is not set?")
    folder = Path(source)
    if source == PIPE or not folder.is_dir():
        return [(source, target)]
    if Path(target).is_dir() and folder.samefile(target):
        raise AudioError(
            f"{printable(target)} is the folder of the inputs: choose another for the outputs"
        )
    found = list_folder(folder, suffixes)
    pass_over(found.left_out)
    inputs = found.files
    if not inputs:
        raise AudioError(
            f"{printable(source)} holds no file ending in {', '.join(sorted(suffixes))}"
        )
    outputs = [Path(target) / p.relative_to(folder).with_suffix(to) for p in inputs]
    if len(set(outputs)) < len(outputs):
        twice = next(o for o in outputs if outputs.count(o) > 1)
        raise AudioError(f"two inputs would both become {printable(str(twice))}: rename one")
    read = {(file.st_dev, file.st_ino) for file in (path.stat() for path in inputs)}
    for output in outputs:
        there = output.stat() if output.exists() else None
        if there and (there.st_dev, there.st_ino) in read:
            raise AudioError(
                f"{printable(str(output))} is one of the inputs, which would be overwritten: "
                "choose another folder for the outputs"
            )
    for output in outputs:
        output.parent.mkdir(parents=True, exist_ok=True)
    return [(str(i), str(o)) for i, o in zip(inputs, outputs, strict=True)]


def one_by_one(
    jobs: Sequence[tuple[str, str]], code: Callable[[str, str], T]
) -> Iterator[tuple[str, str, T]]:
    """Give each job with what `code` makes of it. Of several, one that fails is told and left out;
    a single one raises."""
    for source, target in jobs:
        try:
            made = code(source, target)
        except AudioDecError as error:
            if len(jobs) == 1:
                raise
            console.print(f"skipped: {error}", soft_wrap=True)
            continue
        yield source, target, made


def check_all(done: int, jobs: int, coded: str) -> None:
    """Refuse to end well when a job was left out. Raises AudioDecError."""
    if done < jobs:
        raise AudioDecError(f"{jobs - done} of {jobs} files could not be {coded}")
