"""`audiodec decode`: .adc to audio."""

from __future__ import annotations

from typing import Annotated

import typer

import audiodec
from audiodec.adc import Decoded, decode_file
from audiodec.audio_files.names import printable
from audiodec.cli.common import Model, check_all, console, one_by_one, pairs, progress, warn


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
    jobs, done = pairs(source, target, {".adc"}, ".wav"), 0

    def code(one: str, out: str) -> Decoded:
        with progress(one, None) as tell:
            return decode_file(one, out, codec=codec, strict=strict, progress=tell)

    for one, out, decoded in one_by_one(jobs, code):
        done += 1
        seconds = decoded.samples / decoded.rate
        console.print(
            f"{printable(out)}: {seconds:.2f} s, {decoded.rate} Hz, {decoded.channels} channel(s)",
            soft_wrap=True,
        )
        if decoded.damage:
            warn([f"{printable(one)}: {decoded.damage}"])
    check_all(done, len(jobs), "decoded")
