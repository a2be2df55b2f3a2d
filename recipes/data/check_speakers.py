"""Whether anybody speaks both in the training data and in the validation clips.

    python recipes/data/check_speakers.py [--train data/train] [--validation data/validation]

Compares the voice of every training speaker with that of every validation speaker (GE2E embeddings
as in the metric `speaker similarity`; docs/metrics.md says how to install it). Prints the pairs
that are too alike, closest first, as lines for left_out.csv, whom build.py leaves out; exit code 1
if there are any. Embeddings are kept in data/voices.npz, so that a second run is quick.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from rich.progress import track

from audiodec.audio_files.reading import read_audio
from audiodec.errors import AudioError
from audiodec.evaluation.metrics.speaker import embedding
from audiodec.prepare.manifest import read_manifest

RECORDINGS = 2  # of a speaker
SECONDS = 4  # of each
# Cosines from which a pair is too alike. Two recordings of one person have 0.64 to 0.85, of two
# people 0.75 in one pair of a thousand; who speaks the same language is likelier to be the same.
ALIKE, ALIKE_IN_ONE_LANGUAGE = 0.8, 0.75
LIST = Path(__file__).with_name("validation.csv")


def voices(recordings: dict[str, list[Path]], title: str) -> dict[str, np.ndarray]:
    """Embeddings of each speaker's recordings, [recordings, 256]."""
    found = {}
    for speaker, paths in track(recordings.items(), title):
        own = []
        for path in paths[:: -(-len(paths) // RECORDINGS)]:
            sound = read_audio(str(path), longest=SECONDS)
            try:
                own.append(embedding(sound.samples.mean(axis=1), sound.rate))
            except AudioError:  # too little speech
                continue
        if own:
            found[speaker] = np.stack(own)
    return found


def by_speaker(pairs: Iterable[tuple[str, Path]]) -> dict[str, list[Path]]:
    """Recordings of each speaker, in order."""
    groups = itertools.groupby(sorted(pairs), lambda pair: pair[0])
    return {speaker: [path for _, path in group] for speaker, group in groups}


def languages(tables: list[Path]) -> dict[str, str]:
    """What each speaker speaks, without the region."""
    spoken = {}
    for table in tables:
        with table.open(newline="", encoding="utf-8") as file:
            spoken |= {r["speaker"]: r["language"].split("-")[0] for r in csv.DictReader(file)}
    return spoken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=Path, default=Path("data/train"))
    parser.add_argument("--validation", type=Path, default=Path("data/validation"))
    parser.add_argument("--keep", type=Path, default=Path("data/voices.npz"))
    options = parser.parse_args()
    train = by_speaker(
        (row.speaker, manifest.parent / row.path)
        for manifest in options.train.glob("*/manifest.csv")
        for row in read_manifest(manifest)
    )
    validation = by_speaker((p.parent.name, p) for p in options.validation.glob("*/*.flac"))
    known = dict(np.load(options.keep)) if options.keep.is_file() else {}
    for title, speakers in (("validation", validation), ("training", train)):
        new = {speaker: paths for speaker, paths in speakers.items() if speaker not in known}
        known |= voices(new, title)
        np.savez(options.keep, **known)
    same = [float(v[0] @ v[1]) for v in known.values() if len(v) > 1]
    print(
        "# two recordings of one speaker, 10/50/90 %:", np.percentile(same, [10, 50, 90]).round(2)
    )
    names = [[s for s in group if s in known] for group in (train, validation)]
    a, b = (np.stack([known[s].mean(axis=0) for s in group]) for group in names)
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    cosines = a @ b.T
    print("# two people, 50/99/99.9 %:", np.percentile(cosines, [50, 99, 99.9]).round(2))
    spoken = languages([*options.train.glob("*/speakers.csv"), LIST])
    one, other = ([spoken[s] for s in group] for group in names)
    limits = np.where(np.array(one)[:, None] == other, ALIKE_IN_ONE_LANGUAGE, ALIKE)
    alike = np.argwhere(cosines >= limits)
    for i, j in sorted(alike, key=lambda pair: -cosines[tuple(pair)]):
        print(f"{names[0][i]},{names[1][j]},{cosines[i, j]:.3f}")
    return int(len(alike) > 0)


if __name__ == "__main__":
    sys.exit(main())
