"""The `audiodec` command."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated, NoReturn

import typer

import audiodec
from audiodec.audio_files.names import printable
from audiodec.cli.bench import bench
from audiodec.cli.bench_codebooks import codebooks
from audiodec.cli.bench_live import live
from audiodec.cli.bench_load import load
from audiodec.cli.bench_loss import loss
from audiodec.cli.bench_paper import paper
from audiodec.cli.bench_quality import quality
from audiodec.cli.bench_report import report
from audiodec.cli.bench_robustness import robustness
from audiodec.cli.bench_speed import speed
from audiodec.cli.bench_streams import streams
from audiodec.cli.bench_train import throughput
from audiodec.cli.call import call
from audiodec.cli.decode import decode
from audiodec.cli.encode import encode
from audiodec.cli.info import info, models
from audiodec.cli.listen import listen
from audiodec.cli.prepare import prepare
from audiodec.cli.roundtrip import demo, roundtrip
from audiodec.cli.serve import serve
from audiodec.cli.stream import devices, stream
from audiodec.cli.tokenize import tokenize
from audiodec.cli.train import export, import_published, statistics, train
from audiodec.ending import OrderlyEnd
from audiodec.errors import AudioDecError, ConfigError

app = typer.Typer(
    no_args_is_help=True,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (encode, decode, roundtrip, stream, devices, info, models, train, export, demo):
    app.command()(command)
app.command()(statistics)
app.command()(serve)
app.command()(tokenize)
app.command("import")(import_published)
for measurement in (
    live,
    quality,
    report,
    speed,
    loss,
    load,
    paper,
    streams,
    codebooks,
    robustness,
):
    bench.command()(measurement)
bench.command("train")(throughput)
app.add_typer(bench, name="bench")
app.add_typer(call, name="call")
app.add_typer(listen, name="listen")
app.add_typer(prepare, name="prepare")


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Code speech with a streamable, real-time neural codec."""
    if version:
        typer.echo(f"audiodec {audiodec.__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command; every error is one line and a non-zero exit."""
    for output in (sys.stdout, sys.stderr):  # None where it is closed
        if isinstance(output, io.TextIOWrapper):  # names of files need not be text
            output.reconfigure(errors="backslashreplace")
    try:
        try:
            if "" in sys.argv[1:]:
                raise ConfigError("an argument is empty: is it a variable that is not set?")
            with OrderlyEnd():
                app()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # here, where what goes wrong can still be told
    except AudioDecError as error:
        _fail(str(error))
    except OSError as error:
        _fail(str(error) if error.filename else f"the output cannot be written: {error.strerror}")


def _fail(reason: str) -> NoReturn:
    print(f"audiodec: error: {printable(reason)}", file=sys.stderr)
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:  # or Python would try again at its end, and say so in its own words
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(1)
