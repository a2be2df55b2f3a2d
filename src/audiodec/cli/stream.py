"""`audiodec stream` and `audiodec devices`: microphone to loudspeaker, live."""

from __future__ import annotations

import dataclasses
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.live import Live
from rich.table import Table

from audiodec.audio_files.names import AUDIO_SUFFIXES
from audiodec.cli.common import Bitrate, Json, Model, console, results, warn
from audiodec.cli.tables import facts_table, print_table
from audiodec.ending import OrderlyEnd

if TYPE_CHECKING:
    from audiodec.sound.devices import AudioDevice
    from audiodec.sound.loop import LiveLoop
    from audiodec.sound.meters import Snapshot
    from audiodec.sound.ring import Ring

REFRESH_S = 0.1
SWITCH_S = 0.0005  # seconds; the usual 5 ms are most of a deadline

Input = Annotated[
    str | None,
    typer.Option(
        "--input", help="Number or part of a name, see `audiodec devices`; or an audio file."
    ),
]
Output = Annotated[str | None, typer.Option("--output", help="Like --input.")]
Block = Annotated[
    int, typer.Option(min=16, max=9600, help="Samples that the devices take and give at once.")
]


def devices(as_json: Json = False) -> None:
    """List the sound devices of this machine."""
    from audiodec.sound.portaudio import list_devices

    found = list_devices()
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(device) for device in found]))
        return
    if not found:
        console.print("no sound devices found")
        return
    rows = [
        [d.name, str(d.number), d.system, str(d.inputs), str(d.outputs), ", ".join(d.default)]
        for d in found
    ]
    print_table(("name", "number", "system", "in", "out", "default for"), rows)


def stream(
    source: Input = None,
    target: Output = None,
    bitrate: Bitrate = None,
    block: Block = 240,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help="End after that time; else with Ctrl-C.")
    ] = None,
    dump_input: Annotated[
        str | None, typer.Option(metavar="FILE", help="Also write what the microphone heard.")
    ] = None,
    dump_output: Annotated[
        str | None, typer.Option(metavar="FILE", help="Also write what the loudspeaker sounded.")
    ] = None,
    model: Model = None,
    as_json: Json = False,
) -> None:
    """Hear yourself coded (use headphones): microphone, encoder, packets, decoder, loudspeaker."""
    import audiodec
    from audiodec.sound.loop import LiveLoop
    from audiodec.sound.paced import FileMicrophone

    codec = audiodec.load(model)
    rate = codec.sample_rate
    with ExitStack() as stack:
        taps, drains = [], []
        for path in (dump_input, dump_output):
            tap, drain = stack.enter_context(_dump(path, rate)) if path else (None, _nothing)
            taps.append(tap)
            drains.append(drain)
        microphone = open_device("input", source, rate, block)
        stack.callback(microphone.stop)
        loudspeaker = open_device("output", target, rate, block)
        stack.callback(loudspeaker.stop)
        loop = LiveLoop(codec, microphone, loudspeaker, bitrate, taps=(taps[0], taps[1]))
        stack.enter_context(_quick_switches())
        stack.enter_context(loop)
        console.print(f"{microphone.name} -> {codec.info.id} -> {loudspeaker.name}; Ctrl-C ends")
        _attend(loop, loudspeaker, seconds, drains)
        summary = loop.snapshot()
    file = microphone if isinstance(microphone, FileMicrophone) else None
    warnings = file.warnings if file else ()
    warn(warnings)
    if as_json:
        heard = {"missing_seconds": file.missing_seconds if file else 0.0, "warnings": warnings}
        typer.echo(json.dumps(dataclasses.asdict(summary) | heard))
    else:
        results.print(_table(summary))


def open_device(kind: str, wanted: str | None, rate: int, block: int) -> AudioDevice:
    """Open the sound device, or the audio file, of that name.

    Args:
        kind: `input` or `output`.

    Raises:
        AudioError, MissingExtraError: it cannot be had.
    """
    from audiodec.sound.paced import FileLoudspeaker, FileMicrophone
    from audiodec.sound.portaudio import PortAudioDevice

    named = wanted is not None and Path(wanted).suffix.lower() in AUDIO_SUFFIXES
    if wanted is not None and (named or (kind == "input" and "/" in wanted)):  # /dev/stdin, <(...)
        return (FileMicrophone if kind == "input" else FileLoudspeaker)(wanted, rate, block)
    return PortAudioDevice(kind, wanted, rate, block)


def _attend(
    loop: LiveLoop, loudspeaker: AudioDevice, seconds: float | None,
    drains: list[Callable[[], None]],
) -> None:  # fmt: skip
    """Show meters and write dumps while the model runs in a thread of its own, until told."""
    stop, end = threading.Event(), time.monotonic() + (seconds or float("inf"))

    def over() -> bool:
        return work.done() or stop.is_set() or loudspeaker.ended or time.monotonic() >= end

    shown = Live(console=console, auto_refresh=False, transient=True)
    screen = shown if console.is_terminal else ExitStack()
    with OrderlyEnd(stop.set), ThreadPoolExecutor(1) as pool, screen:
        work = pool.submit(loop.run, stop)
        try:
            while not over():
                wait([work], timeout=REFRESH_S)
                for drain in drains:
                    drain()
                if console.is_terminal:
                    shown.update(_table(loop.snapshot()), refresh=True)
        finally:
            stop.set()
        work.result()


@contextmanager
def _dump(path: str, rate: int) -> Iterator[tuple[Ring, Callable[[], None]]]:
    """Make a ring for an audio callback to write to, and give how to empty it into the file."""
    import numpy as np

    from audiodec.audio_files.recording import record
    from audiodec.sound.ring import Ring

    ring = Ring(10 * rate)

    def drain() -> None:
        samples = np.zeros(len(ring), np.float32)
        ring.read(samples)
        recording.write(samples)

    with record(path, rate) as recording:
        yield ring, drain
        drain()


def _nothing() -> None:
    pass


@contextmanager
def _quick_switches() -> Iterator[None]:
    """Let an audio callback have the interpreter soon after it asks for it."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _table(s: Snapshot) -> Table:
    table = facts_table()
    for name, dbfs in (("input", s.input_dbfs), ("output", s.output_dbfs)):
        bar = "#" * round(max(0.0, 60 + dbfs) / 2)
        table.add_row(name, f"{dbfs:6.1f} dBFS  {bar}")
    table.add_row("coded", f"{s.seconds:.1f} s at {s.kbps:.2f} kbps")
    for name, spread in (("encode", s.encode_ms), ("decode", s.decode_ms), ("delay", s.delay_ms)):
        table.add_row(
            name, f"{spread.median:.2f} / {spread.p95:.2f} / {spread.p99:.2f} ms (median, p95, p99)"
        )
    table.add_row("", f"{s.target_ms:.1f} ms aimed at, devices say they add {s.device_ms:.1f} ms")
    table.add_row("buffer", f"{s.buffer_ms:.1f} ms, clocks {s.drift_ppm:+.0f} ppm apart")
    table.add_row(
        "dropped",
        f"{s.lost_ms:.0f} ms of input, {s.missing_ms:.0f} ms of output late, "
        f"{s.skipped_ms:.0f} ms skipped, {s.faults} blocks by the devices",
    )
    return table
