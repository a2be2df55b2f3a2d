"""`audiodec encode`: audio to .adc."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

import audiodec
from audiodec.adc import BEAM_WIDTH, Coded, encode_file
from audiodec.audio_files.names import AUDIO_SUFFIXES, printable
from audiodec.cli.common import (
    BeamWidth,
    Bitrate,
    Json,
    Model,
    Mono,
    check_all,
    console,
    duration,
    one_by_one,
    pairs,
    progress,
    warn,
)


def encode(
    source: Annotated[str, typer.Argument(metavar="IN", help="Audio file, folder, or -.")],
    target: Annotated[str, typer.Argument(metavar="OUT", help=".adc file, folder, or -.")],
    bitrate: Bitrate = None,
    beam_width: BeamWidth = BEAM_WIDTH,
    mono: Mono = False,
    model: Model = None,
    as_json: Json = False,
) -> None:
    """Code speech: any format libsndfile reads, any sample rate and channel count."""
    codec = audiodec.load(model)
    jobs, done = pairs(source, target, AUDIO_SUFFIXES, ".adc"), list[dict[str, Any]]()

    def code(one: str, out: str) -> Coded:
        with progress(one, duration(one)) as tell:
            return encode_file(
                one,
                out,
                codec=codec,
                bitrate=bitrate,
                beam_width=beam_width,
                mono=mono,
                progress=tell,
            )

    for one, out, coded in one_by_one(jobs, code):
        kbps = coded.payload_bytes * 8 / coded.seconds / 1000
        overhead = 100 * (coded.total_bytes / coded.payload_bytes - 1)
        resampled = "" if coded.rate == codec.sample_rate else f", resampled from {coded.rate} Hz"
        console.print(
            f"{printable(out)}: {coded.seconds:.2f} s, {coded.channels} channel(s){resampled}, "
            f"{kbps:.2f} kbps + {overhead:.1f} % overhead, {coded.total_bytes} bytes",
            soft_wrap=True,
        )
        warn(coded.warnings)
        done.append({"input": one, "output": out, "seconds": coded.seconds} | asdict(coded))
    if as_json:
        typer.echo(json.dumps(done))
    check_all(len(done), len(jobs), "coded")
