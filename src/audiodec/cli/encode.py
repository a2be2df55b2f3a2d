"""`audiodec encode`: audio to .adc."""

from __future__ import annotations

from typing import Annotated

import typer

import audiodec
from audiodec.adc import BEAM_WIDTH, encode_file
from audiodec.audio_files.names import AUDIO_SUFFIXES
from audiodec.cli.common import BeamWidth, Bitrate, Model, Mono, console, duration, pairs, progress
from audiodec.errors import AudioDecError


def encode(
    source: Annotated[str, typer.Argument(metavar="IN", help="Audio file, folder, or -.")],
    target: Annotated[str, typer.Argument(metavar="OUT", help=".adc file, folder, or -.")],
    bitrate: Bitrate = None,
    beam_width: BeamWidth = BEAM_WIDTH,
    mono: Mono = False,
    model: Model = None,
) -> None:
    """Code speech: any format libsndfile reads, any sample rate and channel count."""
    codec = audiodec.load(model)
    failed = 0
    jobs = pairs(source, target, AUDIO_SUFFIXES, ".adc")
    for one, out in jobs:
        try:
            with progress(one, duration(one)) as tell:
                coded = encode_file(
                    one,
                    out,
                    codec=codec,
                    bitrate=bitrate,
                    beam_width=beam_width,
                    mono=mono,
                    progress=tell,
                )
        except AudioDecError as error:
            if len(jobs) == 1:
                raise
            console.print(f"skipped: {error}", markup=False)
            failed += 1
            continue
        kbps = coded.payload_bytes * 8 / coded.seconds / 1000
        overhead = 100 * (coded.total_bytes / coded.payload_bytes - 1)
        resampled = "" if coded.rate == codec.sample_rate else f", resampled from {coded.rate} Hz"
        console.print(
            f"{out}: {coded.seconds:.2f} s, {coded.channels} channel(s){resampled}, "
            f"{kbps:.2f} kbps + {overhead:.1f} % overhead, {coded.total_bytes} bytes",
            markup=False, soft_wrap=True,
        )  # fmt: skip
    if failed:
        raise AudioDecError(f"{failed} of {len(jobs)} files could not be coded")
