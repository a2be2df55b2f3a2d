"""`audiodec roundtrip` and `audiodec demo`: code, decode, measure, show."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

import audiodec
from audiodec.adc import BEAM_WIDTH, Coded, decode_file, encode_file
from audiodec.audio_files.reading import read_audio
from audiodec.audio_files.writing import check_other, is_stream
from audiodec.cli.common import BeamWidth, Bitrate, Model, Mono, console, duration, progress, warn
from audiodec.cli.tables import facts_table
from audiodec.errors import AudioError, MissingExtraError

MAX_SCORED_S = 30  # seconds at most, from the start, that metrics and picture look at


def roundtrip(
    source: Annotated[str, typer.Argument(metavar="IN", help="Audio file.")],
    target: Annotated[str, typer.Argument(metavar="OUT", help="Where the decoded audio goes.")],
    bitrate: Bitrate = None,
    beam_width: BeamWidth = BEAM_WIDTH,
    mono: Mono = False,
    model: Model = None,
) -> None:
    """Code and decode a file; report bitrate, speed, latency and quality; draw spectrograms.

    The picture goes beside OUT, as .png; a file of that name that is no such picture is left alone.
    """
    from audiodec.evaluation.picture import may_replace, save_comparison

    if is_stream(source) or is_stream(target):
        raise AudioError("roundtrip needs files: it reads both again to compare them")
    check_other(source, target)
    picture = Path(target).with_suffix(".png")
    draw = may_replace(picture)
    begin = time.perf_counter()
    codec = audiodec.load(model)
    load = time.perf_counter() - begin
    with tempfile.TemporaryDirectory() as folder:
        packed = str(Path(folder) / "coded.adc")
        begin = time.perf_counter()
        with progress("encode", duration(source)) as tell:
            coded = encode_file(
                source,
                packed,
                codec=codec,
                bitrate=bitrate,
                beam_width=beam_width,
                mono=mono,
                progress=tell,
            )
        encoding = time.perf_counter() - begin
        begin = time.perf_counter()
        with progress("decode", coded.seconds) as tell:
            decode_file(packed, target, codec=codec, progress=tell)
        decoding = time.perf_counter() - begin
    warn(coded.warnings)
    table = facts_table()
    _report(table, codec, coded, load, encoding, decoding)
    original, rate = _start(source)
    result, _ = _start(target)
    length = min(len(original), len(result))
    _score(table, original[:length], result[:length], rate)
    if draw:
        titles = {f"original: {Path(source).name}": original, "decoded": result}
        save_comparison(titles, rate, picture)
    table.add_row("written", f"{target}, {picture}" if draw else target)
    console.print(table)
    if not draw:
        console.print(
            f"no picture is drawn: {picture} is not one of audiodec's; move it away for that",
            markup=False, soft_wrap=True,
        )  # fmt: skip


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("build/demo"),
) -> None:
    """Round trip of the bundled clip of real speech."""
    out.mkdir(parents=True, exist_ok=True)
    clip = Path(audiodec.__file__).parent / "assets" / "speech.flac"
    roundtrip(str(clip), str(out / "speech.wav"))


def _report(
    table: Table,
    codec: audiodec.Codec,
    coded: Coded,
    load: float,
    encoding: float,
    decoding: float,
) -> None:
    payload = coded.payload_bytes * 8 / coded.seconds / 1000
    total = coded.total_bytes * 8 / coded.seconds / 1000
    resampled = "" if coded.rate == codec.sample_rate else f", resampled to {codec.sample_rate} Hz"
    table.add_row(
        "audio", f"{coded.seconds:.2f} s, {coded.rate} Hz{resampled}, {coded.channels} channel(s)"
    )
    table.add_row("model", f"{codec.info.id}, loaded in {load:.2f} s")
    table.add_row(
        "bitrate", f"{payload:.2f} kbps of packets; {total:.2f} kbps with headers, from file size"
    )
    table.add_row("algorithmic latency", f"{1000 / codec.config.frame_rate:.2f} ms")
    table.add_row(
        "real-time factor",
        f"encode {encoding / coded.seconds:.3f}, decode {decoding / coded.seconds:.3f} "
        "(one thread, file reading and writing included)",
    )


def _score(table: Table, original: np.ndarray, result: np.ndarray, rate: int) -> None:
    from audiodec.evaluation.metrics import score

    try:
        scores = score(original, result, rate)
    except MissingExtraError as error:
        table.add_row("quality", str(error))
        return
    except ValueError as error:
        table.add_row("quality", f"cannot be scored: {error}")
        return
    for name, value in scores.items():
        table.add_row(name, "no speech found" if value is None else f"{value:.3f}")


def _start(path: str) -> tuple[np.ndarray, int]:
    """Read the first seconds of a file, mixed to mono."""
    sound = read_audio(path, MAX_SCORED_S)
    return sound.samples.mean(axis=1), sound.rate
