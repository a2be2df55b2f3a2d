"""`audiodec bench speed`: what codecs cost, side by side."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiodec.cli.bench_quality import Codecs, Rates, choose_codecs
from audiodec.cli.common import BeamWidth, Json, Model, console
from audiodec.cli.tables import print_table

if TYPE_CHECKING:
    from audiodec.evaluation.codecs import Cost, Peer, Spec
    from audiodec.evaluation.speed import Speed


def speed(
    codec: Codecs = None,
    bitrate: Rates = None,
    beam_width: BeamWidth = 1,
    model: Model = None,
    clip: Annotated[
        Path | None, typer.Option(help="Sound to code; the bundled clip of speech if not given.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=3, help="Turns that every codec has.")] = 15,
    as_json: Json = False,
) -> None:
    """Measure real-time factor, packet time, memory, size and operations of codecs.

    Each runs on one thread.
    """
    from rich.progress import track

    import audiodec
    from audiodec.evaluation.quality import read_clip
    from audiodec.evaluation.speed import Race

    bundled = Path(audiodec.__file__).parent / "assets" / "speech.flac"
    specs = choose_codecs(codec, bitrate or (None if codec else [12.0]), model, beam_width)
    race = Race(specs, read_clip(clip or bundled), rounds)
    steps = track(race.run(), "timing", race.steps, console=console)
    rows = [row for row in steps if row is not None]
    costs = [_cost(*both) for both in zip(specs, race.peers, strict=True)]
    if as_json:
        pairs = zip(rows, costs, strict=True)
        typer.echo(json.dumps([dataclasses.asdict(r) | dataclasses.asdict(c) for r, c in pairs]))
        return
    _print_speeds(rows, costs)


def _cost(spec: Spec, peer: Peer) -> Cost:
    """Size and operations of a network; those of our models need torch to be counted."""
    from audiodec.evaluation.codecs import Cost, HasCost, OursSpec
    from audiodec.evaluation.speed import model_size
    from audiodec.pretrained import find_model

    if not isinstance(spec, OursSpec):
        return peer.cost() if isinstance(peer, HasCost) else Cost()
    folder = find_model(spec.model)
    cost = Cost(*model_size(folder))
    try:
        from audiodec.export.cost import network_macs
        from audiodec.runtime.torch import load_network
    except ImportError:
        return cost
    encode, decode = network_macs(load_network(folder))
    return dataclasses.replace(cost, encode_macs=encode, decode_macs=decode)


def _print_speeds(rows: Sequence[Speed], costs: Sequence[Cost]) -> None:
    times, sizes = [], []
    for row, cost in zip(rows, costs, strict=True):
        p99 = "-"
        if row.encode_ms is not None and row.decode_ms is not None:
            p99 = f"{row.encode_ms:.2f} / {row.decode_ms:.2f}"
        latency, packet = (_number(ms, 1, ".1f") for ms in (row.latency_ms, row.packet_ms))
        spreads = (f"{s.median:.4f} / {s.p95:.4f}" for s in (row.encode_rtf, row.decode_rtf))
        times.append([row.codec, latency, *spreads, packet, p99])
        size = (
            _number(row.memory_mb, 1, ".0f"),
            _number(cost.model_mb, 1, ".1f"),
            _number(cost.parameters, 1e6, ".2f"),
            _number(cost.encode_macs, 1e9, ".2f"),
            _number(cost.decode_macs, 1e9, ".2f"),
        )
        sizes.append([row.codec, *size])
    print_table(
        ("codec", "latency ms", "encode RTF", "decode RTF", "packet ms", "p99 ms"),
        times,
        title="time on one thread, codecs in turn, median / 95th percentile of the rounds",
        caption="RTF = processing time / length of the clip. p99: encode / decode of one packet of "
        "a live stream, 99th percentile",
    )
    print_table(
        ("codec", "memory MB", "model MB", "parameters M", "encode GMAC/s", "decode GMAC/s"),
        sizes,
        title="size",
        caption="memory: peak of a whole process that does nothing but code",
    )


def _number(value: float | None, unit: float, form: str) -> str:
    return "-" if value is None else format(value / unit, form)
