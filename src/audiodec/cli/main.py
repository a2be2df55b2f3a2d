"""The `audiodec` command."""

from __future__ import annotations

import os
import sys

import typer

from audiodec.cli.bench import bench
from audiodec.cli.decode import decode
from audiodec.cli.encode import encode
from audiodec.cli.info import info, models
from audiodec.cli.roundtrip import demo, roundtrip
from audiodec.cli.train import export, train
from audiodec.errors import AudioDecError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Streamable, real-time neural codec for speech.",
)
for command in (encode, decode, roundtrip, info, models, train, export, demo):
    app.command()(command)
app.add_typer(bench, name="bench")


def main() -> None:
    """Run the command; every error is one line and a non-zero exit."""
    try:
        app()
    except AudioDecError as error:
        print(f"audiodec: error: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:  # the reader of our pipe has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
