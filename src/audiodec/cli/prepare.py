"""`audiodec prepare`: corpora, rooms and noisy pairs for training."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.progress import track

from audiodec.audio_files.writing import check_other, create_audio, write_audio, write_whole
from audiodec.cli.common import Json, console, pass_over, warn
from audiodec.errors import AudioError, ConfigError

prepare = typer.Typer(no_args_is_help=True, help="Make manifests of corpora, rooms, noisy pairs.")
Corpus = Annotated[Path, typer.Argument(metavar="DIR", help="Where the corpus is.")]
Manifest = Annotated[Path, typer.Argument(metavar="OUT", help="Manifest to write, .csv.")]


def _corpus(name: str, directory: Path, out: Path, as_json: bool) -> None:
    from audiodec.prepare.corpora import CORPORA
    from audiodec.prepare.manifest import make_manifest

    if not directory.is_dir():
        raise ConfigError(f"{directory} is no folder")
    found = CORPORA[name](directory)
    listed = track(found.recordings, name, console=console, transient=True)
    rows, problems = make_manifest(listed, out)
    pass_over([*found.left_out, *problems.left_out])
    warn(problems.warnings)
    for missing in found.missing:
        console.print(f"missing: {missing}", markup=False)
    hours: Counter[str] = Counter()
    for row in rows:
        hours[row.split] += row.seconds / 3600  # type: ignore[assignment]
    for split, total in sorted(hours.items()):
        speakers = len({row.speaker for row in rows if row.split == split})
        count = sum(row.split == split for row in rows)
        console.print(f"{split}: {count} recordings, {speakers} speakers, {total:.2f} h")
    console.print(f"written: {out}", markup=False)
    if as_json:
        facts = {
            "recordings": len(rows), "seconds": round(sum(row.seconds for row in rows), 3),
            "missing": found.missing, "left_out": [*found.left_out, *problems.left_out],
            "missing_seconds": problems.missing_seconds, "warnings": problems.warnings,
        }  # fmt: skip
        typer.echo(json.dumps(facts))


@prepare.command()
def vctk(directory: Corpus, out: Manifest, as_json: Json = False) -> None:
    """Prepare VCTK 0.92 or 0.80; p232 and p257 test, p226 and p287 validate."""
    _corpus("vctk", directory, out, as_json)


@prepare.command()
def libritts(directory: Corpus, out: Manifest, as_json: Json = False) -> None:
    """Prepare LibriTTS; its subsets are the splits."""
    _corpus("libritts", directory, out, as_json)


@prepare.command("voicebank-demand")
def voicebank_demand(directory: Corpus, out: Manifest, as_json: Json = False) -> None:
    """Prepare VoiceBank-DEMAND: noisy and clean recordings in pairs."""
    _corpus("voicebank-demand", directory, out, as_json)


@prepare.command()
def folder(directory: Corpus, out: Manifest, as_json: Json = False) -> None:
    """Prepare any folder; its first level of folders are taken as speakers."""
    _corpus("folder", directory, out, as_json)


@prepare.command()
def rooms(
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    count: Annotated[int, typer.Option(min=1, help="Rooms.")] = 200,
    rate: Annotated[int, typer.Option(min=8000, help="Hz.")] = 48000,
    seed: Annotated[int, typer.Option(help="Of the random rooms.")] = 0,
) -> None:
    """Simulate room responses (pyroomacoustics), for a recipe's `data.rooms`."""
    from audiodec.prepare.rooms import simulate

    responses = track(simulate(count, rate, seed), "rooms", count, console=console, transient=True)
    for number, response in enumerate(responses):
        out.mkdir(parents=True, exist_ok=True)
        path = str(out / f"room_{number:04d}.wav")
        with write_whole(path) as file, create_audio(file, path, rate, 1, "FLOAT") as audio:
            write_audio(audio, np.asarray(response, np.float32)[None])
    console.print(f"{out}: {count} rooms", markup=False)


@prepare.command()
def mix(
    manifest: Annotated[Path, typer.Argument(help="Manifest of clean recordings, .csv.")],
    noise: Annotated[Path, typer.Argument(help="Folder of noise.")],
    out: Annotated[Path, typer.Argument(help="Folder to write, manifest.csv in it.")],
    snr: Annotated[tuple[float, float], typer.Option(help="dB, lowest and highest.")] = (0, 15),
    rooms: Annotated[Path | None, typer.Option(help="Folder of room responses.")] = None,
    room_probability: Annotated[float, typer.Option(min=0, max=1)] = 0.5,
    seed: Annotated[int, typer.Option(help="Of what is mixed how.")] = 0,
) -> None:
    """Mix noisy-clean pairs at chosen SNRs; the same seed makes the same pairs."""
    from audiodec.prepare.manifest import Recording, make_manifest, read_manifest
    from audiodec.prepare.mixing import Mixer, mix_file

    settings = {
        "manifest": str(manifest), "noise": str(noise), "snr": snr, "rooms": str(rooms),
        "room_probability": room_probability, "seed": seed,
    }  # fmt: skip
    check_other(str(manifest), str(out / "manifest.csv"))
    rows = read_manifest(manifest)
    _same_settings(out / "settings.json", settings)
    mixers: dict[int, Mixer] = {}
    pairs, left_out = [], list[str]()
    for row in track(rows, "mixing", console=console, transient=True):
        if row.rate not in mixers:
            mixers[row.rate] = Mixer.of(row.rate, [noise], rooms, snr, room_probability)
        name = hashlib.sha256(row.path.encode()).hexdigest()[:16]  # of the recording, not its row
        target, noisy = (out / kind / f"{name}.flac" for kind in ("clean", "noisy"))
        if not (noisy.exists() and target.exists()):
            random = np.random.default_rng([seed, int(name, 16)])
            try:
                mix_file(manifest.parent / row.path, target, noisy, mixers[row.rate], random)
            except AudioError as error:
                left_out.append(str(error))
                continue
        pairs.append(Recording(target, row.speaker, row.split, noisy))
    made, problems = make_manifest(pairs, out / "manifest.csv")
    pass_over(left_out + problems.left_out)
    console.print(f"{out / 'manifest.csv'}: {len(made)} pairs", markup=False)


def _same_settings(path: Path, settings: dict[str, object]) -> None:
    """Go on only with what the folder was begun with. Raises ConfigError."""
    text = json.dumps(settings, indent=2)
    if path.exists():
        if path.read_text(encoding="utf-8") != text:
            raise ConfigError(f"{path.parent} was mixed with other settings: choose another folder")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_whole(str(path)) as file:
        file.write(text.encode())
