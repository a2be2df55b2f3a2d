"""`audiodec prepare`: corpora, rooms and noisy pairs for training."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import numpy as np
import soundfile
import typer
from rich.progress import track

from audiodec.cli.common import console
from audiodec.errors import ConfigError

prepare = typer.Typer(no_args_is_help=True, help="Make manifests of corpora, rooms, noisy pairs.")
Corpus = Annotated[Path, typer.Argument(metavar="DIR", help="Where the corpus is.")]
Manifest = Annotated[Path, typer.Argument(metavar="OUT", help="Manifest to write, .csv.")]


def _corpus(name: str, directory: Path, out: Path) -> None:
    from audiodec.prepare.corpora import CORPORA
    from audiodec.prepare.manifest import make_manifest

    if not directory.is_dir():
        raise ConfigError(f"{directory} is no folder")
    found = CORPORA[name](directory)
    listed = track(found.recordings, name, console=console, transient=True)
    rows, problems = make_manifest(listed, out)
    for problem in problems:
        console.print(f"left out: {problem}", markup=False, soft_wrap=True)
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


@prepare.command()
def vctk(directory: Corpus, out: Manifest) -> None:
    """VCTK 0.92 or 0.80; p232 and p257 test, p226 and p287 validate."""
    _corpus("vctk", directory, out)


@prepare.command()
def libritts(directory: Corpus, out: Manifest) -> None:
    """LibriTTS; its subsets are the splits."""
    _corpus("libritts", directory, out)


@prepare.command("voicebank-demand")
def voicebank_demand(directory: Corpus, out: Manifest) -> None:
    """VoiceBank-DEMAND: noisy and clean recordings in pairs."""
    _corpus("voicebank-demand", directory, out)


@prepare.command()
def folder(directory: Corpus, out: Manifest) -> None:
    """Any folder; its first level of folders are taken as speakers."""
    _corpus("folder", directory, out)


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
        soundfile.write(out / f"room_{number:04d}.wav", response, rate, subtype="FLOAT")
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
    """Noisy-clean pairs at chosen SNRs; the same seed makes the same pairs."""
    from audiodec.prepare.manifest import Recording, make_manifest, read_manifest
    from audiodec.prepare.mixing import Mixer

    rows = read_manifest(manifest)
    mixers: dict[int, Mixer] = {}
    pairs = []
    for number, row in enumerate(track(rows, "mixing", console=console, transient=True)):
        clean = manifest.parent / row.path
        noisy = out / "noisy" / f"{number:06d}.flac"
        if row.rate not in mixers:
            mixers[row.rate] = Mixer.of(row.rate, [noise], rooms, snr, room_probability)
        target = out / "clean" / f"{number:06d}.flac"
        if not (noisy.exists() and target.exists()):
            samples, rate = soundfile.read(clean, dtype="float32", always_2d=True)
            speech = np.ascontiguousarray(samples.T)
            heard = mixers[row.rate](speech, np.random.default_rng([seed, number]))
            loudest = max(1.0, float(np.abs(heard).max()))  # both quieter, rather than clipped
            for path, signal in ((target, speech), (noisy, heard)):
                path.parent.mkdir(parents=True, exist_ok=True)
                part = path.with_suffix(".part")
                soundfile.write(part, (signal / loudest).T, rate, format="FLAC")
                part.replace(path)
        pairs.append(Recording(target, row.speaker, row.split, noisy))
    made, problems = make_manifest(pairs, out / "manifest.csv")
    for problem in problems:
        console.print(f"left out: {problem}", markup=False, soft_wrap=True)
    console.print(f"{out / 'manifest.csv'}: {len(made)} pairs", markup=False)
