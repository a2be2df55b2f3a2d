"""`audiodec info` and `audiodec models`: what a file or the installation holds."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from audiodec.audio_files.names import printable
from audiodec.audio_files.sources import seekable
from audiodec.cli.common import Json
from audiodec.errors import FormatError


def info(
    file: Annotated[str, typer.Argument(metavar="FILE", help=".adc file, or - for a pipe.")],
    as_json: Json = False,
) -> None:
    """Show what an .adc file holds, and whether it is whole."""
    from audiodec.bitstream.reader import Reader

    with seekable(file) as data:
        try:
            reader = Reader(data)
        except FormatError as error:
            raise FormatError(f"{printable(file)}: {error}") from None
    header, frames = reader.header, reader.frames
    kbps = header.model_rate / header.hop * header.codebooks * header.bits / 1000
    facts: dict[str, Any] = {
        "model": header.model_id,
        "weights": header.weights_hash.hex(),
        "sample_rate": header.rate,
        "streams": header.channels,
        "samples": reader.samples,
        "seconds": round((frames * header.hop) / header.model_rate, 3)
        if reader.samples is None
        else round(reader.samples / header.rate, 3),
        "frames": frames,
        "codebooks": header.codebooks,
        "kbps_per_stream": kbps,
        "payload_bytes": reader.payload_bytes,
        "total_bytes": reader.total_bytes,
        "blocks": reader.blocks_whole + reader.blocks_lost,
        "damaged_blocks": reader.blocks_lost,
        "truncated": reader.truncated,
        "damage": reader.damage or None,
    }
    _show(facts, as_json)


def models(as_json: Json = False) -> None:
    """List the bundled models."""
    from audiodec.pretrained import DEFAULT, bundled_models, find_model, read_info

    for name in bundled_models():
        folder = find_model(name)
        model = read_info(folder)
        rates = [model.codec.bitrate(s + 1) for s in range(model.codec.quantizer.codebooks)]
        facts = {
            "name": name,
            "default": name == DEFAULT,
            "id": model.id,
            "weights": model.weights_hash.hex(),
            "sample_rate": model.codec.sample_rate,
            "algorithmic_latency_ms": round(1000 / model.codec.frame_rate, 2),
            "bitrates_kbps": rates,
            "folder": str(folder),
        }
        _show(facts, as_json)


def _show(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(facts))
        return
    for key, value in facts.items():
        typer.echo(f"{key.replace('_', ' '):24} {value}")
