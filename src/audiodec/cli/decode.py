"""`audiodec decode`: .adc to audio."""

from __future__ import annotations

from typing import Annotated

import typer

import audiodec
from audiodec.adc import decode_file
from audiodec.cli.common import Model, console, pairs, progress
from audiodec.errors import AudioDecError


def decode(
    source: Annotated[str, typer.Argument(metavar="IN", help=".adc file, folder, or -.")],
    target: Annotated[
        str, typer.Argument(metavar="OUT", help="Audio file (the suffix says which), folder, or -.")
    ],
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse files that are damaged in any way.")
    ] = False,
    model: Model = None,
) -> None:
    """Decode to the original's sample rate, channels and exact length."""
    codec = None if model is None else audiodec.load(model)
    failed = 0
    jobs = pairs(source, target, {".adc"}, ".wav")
    for one, out in jobs:
        try:
            with progress(one, None) as tell:
                decoded = decode_file(one, out, codec=codec, strict=strict, progress=tell)
        except AudioDecError as error:
            if len(jobs) == 1:
                raise
            console.print(f"skipped: {error}", soft_wrap=True)
            failed += 1
            continue
        seconds = decoded.samples / decoded.rate
        console.print(
            f"{out}: {seconds:.2f} s, {decoded.rate} Hz, {decoded.channels} channel(s)",
            markup=False, soft_wrap=True,
        )  # fmt: skip
        if decoded.damage:
            console.print(f"warning: {one}: {decoded.damage}", markup=False, soft_wrap=True)
    if failed:
        raise AudioDecError(f"{failed} of {len(jobs)} files could not be decoded")
