"""`audiodec bench live`: what adds up from microphone to loudspeaker."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer

from audiodec.cli.common import Json, Model
from audiodec.cli.tables import print_table

COLUMNS = ("capture", "frame", "encode", "decode", "playback", "mouth_to_ear", "limit", "missing")


def live(
    block: Annotated[
        list[int] | None,
        typer.Option(min=16, max=9600, help="Samples per device block; may be repeated."),
    ] = None,
    processing: Annotated[
        float | None,
        typer.Option(min=0, help="ms per packet in simulated time; measured here if not given."),
    ] = None,
    model: Model = None,
    as_json: Json = False,
) -> None:
    """Measure mouth-to-ear latency of `audiodec stream` between devices in simulated time."""
    import audiodec
    from audiodec.evaluation.mouth_to_ear import BLOCK_SAMPLES, measure

    codec = audiodec.load(model)
    rows = measure(codec, tuple(block or BLOCK_SAMPLES), processing)
    if as_json:
        result = {"model": codec.info.id, "budget_ms": [dataclasses.asdict(r) for r in rows]}
        typer.echo(json.dumps(result))
        return
    print_table(
        ["block", *(key.replace("_", " ") for key in COLUMNS)],
        [[str(row.block), *(f"{getattr(row, key):.2f}" for key in COLUMNS)] for row in rows],
        title=f"{codec.info.id}, {codec.sample_rate} Hz, all times in ms",
        caption=f"encode, decode: median on this machine; simulated: {rows[0].processing:.2f}; "
        "network and jitter buffer: 0; limit = frame + capture + playback + 1",
    )
