"""`audiodec listen`: listening tests, from folders of clips to means and intervals."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from audiodec.audio_files.writing import write_whole
from audiodec.cli.common import Json, console
from audiodec.cli.tables import print_table
from audiodec.ending import Told
from audiodec.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from audiodec.evaluation.listening.analysis import Analysis
    from audiodec.evaluation.listening.statistics import Mean

listen = typer.Typer(no_args_is_help=True, help="Listening tests: MUSHRA, MOS, ABX.")
Folder = Annotated[Path, typer.Argument(metavar="TEST", help="Folder of the test.")]


@listen.command()
def create(
    out: Annotated[Path, typer.Argument(metavar="TEST", help="Folder to make.")],
    method: Annotated[Literal["mushra", "mos", "abx"], typer.Option(help="What is asked.")],
    system: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FOLDER", help="Output of a system; may be repeated."),
    ] = None,
    systems: Annotated[
        Path | None, typer.Option(help="Folder with one folder per system, and `reference`.")
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(help="Folder of the original recordings.")
    ] = None,
    title: Annotated[str, typer.Option(help="Listeners see it: name no system.")] = (
        "Listening test"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Of all orders.")] = 0,
) -> None:
    """Make a test out of folders that hold the same clips under the same names."""
    try:
        from audiodec.evaluation.listening import create as making
    except ImportError:
        raise MissingExtraError("a listening test", "bench") from None

    folders = _systems(system or [], systems)
    reference = reference or folders.pop("reference", None)
    from rich.text import Text

    with console.status("reading") as status:
        test, remarks = making.create(
            out, method, title, folders, reference, seed, lambda clip: status.update(Text(clip))
        )
    for remark in remarks:
        console.print(remark, markup=False, soft_wrap=True)
    console.print(
        f"{out}: {len(test.clips)} clips, each in {len(test.systems)} versions; next: "
        f"audiodec listen serve {out}", markup=False, soft_wrap=True,
    )  # fmt: skip


def _systems(named: list[str], tree: Path | None) -> dict[str, Path]:
    if tree is not None and not tree.is_dir():
        raise ConfigError(f"{tree} is no folder")
    found = {path.name: path for path in sorted(tree.iterdir()) if path.is_dir()} if tree else {}
    for text in named:
        name, equals, folder = text.partition("=")
        if not equals or not name or not folder:
            raise ConfigError(f"--system {text}: write NAME=FOLDER")
        if name in found:
            raise ConfigError(f"two systems are called {name}")
        found[name] = Path(folder)
    return found


@listen.command()
def serve(
    folder: Folder,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    host: Annotated[
        str, typer.Option(help="Address; 0.0.0.0 lets others on the network take part.")
    ] = "127.0.0.1",
) -> None:
    """Serve the test to a browser; answers are stored in its folder. Ctrl-C stops."""
    try:
        from audiodec.evaluation.listening import server
    except ImportError:
        raise MissingExtraError("a listening test", "bench") from None

    def started(url: str) -> None:
        console.print(f"open {url}   (Ctrl-C stops; every answer is stored)", markup=False)

    try:
        server.serve(folder, host, port, started)
    except Told:
        console.print("stopped")


@listen.command()
def analyse(
    folder: Folder,
    csv: Annotated[Path | None, typer.Option(help="Also write every rating.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Also draw means and intervals, .svg.")] = None,
    as_json: Json = False,
) -> None:
    """Analyse a test: means with 95 % intervals, paired tests, and who was screened out."""
    try:
        from audiodec.evaluation.listening import analysis as analysing
        from audiodec.evaluation.listening.answers import FILE, Answers
        from audiodec.evaluation.listening.definition import load_test
        from audiodec.evaluation.listening.plot import plot as draw
    except ImportError:
        raise MissingExtraError("a listening test", "bench") from None

    test = load_test(folder)
    if not (folder / FILE).is_file():
        raise ConfigError(f"{folder} has no answers yet: audiodec listen serve {folder}")
    ratings, unfinished = Answers(test, folder).ratings()
    if csv is not None:
        _write(csv, analysing.to_csv(test, ratings, unfinished))
    analysis = analysing.analyse(test, ratings, unfinished)
    if plot is not None:
        _write(plot, draw(analysis))
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(analysis)))
    else:
        _print(analysis)


def _write(path: Path, text: str) -> None:
    with write_whole(str(path)) as file:
        file.write(text.encode())


def _print(analysis: Analysis) -> None:
    counts = f"{len(analysis.listeners)} listeners, {analysis.clips} clips"
    for name, reason in analysis.excluded.items():
        console.print(f"left out: {name}: {reason}", markup=False)
    for name in analysis.unfinished:
        console.print(f"left out: {name}: not finished", markup=False)
    if analysis.method == "abx":
        print_table(
            ("A / B", "right", "share", "95 % exact", "p"),
            [
                [f"{d.a} / {d.b}", f"{d.right} of {d.answers}", f"{d.share:.3f}",
                 f"{d.exact[0]:.3f} to {d.exact[1]:.3f}", f"{d.p_holm:.4f}"]
                for d in analysis.discriminations
            ],
            title=f"ABX, {counts}, all p Holm-corrected",
        )  # fmt: skip
        return
    digits = 1 if analysis.method == "mushra" else 2
    systems = []
    for s in analysis.systems:
        low, median, high = s.quartiles
        systems.append([s.name, *_cells(s.mean, digits), f"{median:g}", f"{low:g} to {high:g}"])
    print_table(
        ("system", "mean", "t", "bootstrap", "median", "quartiles"),
        systems,
        title=f"{analysis.method.upper()}, {counts}, 95 % intervals",
    )
    print_table(
        ("pair", "mean", "t", "bootstrap", "p", "p Holm"),
        [
            [f"{c.a} - {c.b}", *_cells(c.difference, digits), f"{c.p:.4f}", f"{c.p_holm:.4f}"]
            for c in analysis.comparisons
        ],
        title="differences, Wilcoxon signed-rank tests",
    )


def _cells(mean: Mean, digits: int) -> list[str]:
    both = (
        f"{i[0]:.{digits}f} to {i[1]:.{digits}f}" if i else "-" for i in (mean.t, mean.bootstrap)
    )
    return [f"{mean.value:.{digits}f}", *both]
