"""The default models' training speech as WAV files under data/train.

    python recipes/data/build.py [SOURCE ...] [--mirror data/mirror] [--out data/train]

Every source of sources.toml becomes a folder with manifest.csv (speaker and bandwidth of every
recording) and speakers.csv; attributions.md says whose voices they are. Public repositories are
fetched into the mirror, one commit each, unless they are there already (OWNER+NAME/repo, bare);
Debian packages are downloaded, nothing is installed. A source that is already built is skipped;
what is missing is named at the end, with exit code 1. Needs git and the `bench` extra (PyAV
decodes G.722, SwiftF0 tells two voices apart). About 4 GB to fetch, 6 GB when built.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr
from attributions import write_attributions
from layouts import Clip, find
from origins import fetch, fingerprint
from rich.progress import track
from sound import read
from sources import Source, read_table

from audiodec.prepare.manifest import Recording, make_manifest
from audiodec.prepare.measure import bandwidth, snr

PACK = 20  # seconds: clips of one speaker are joined, so that short words fill whole crops
TOP_RATE = 48000  # Hz; what is sampled faster is resampled
MIN_CLIP_S = 0.1  # what is worth reading
# Who is not to be learnt: speakers of validation clips, and those whose voice is too much like one.
HELD_OUT = [Path(__file__).with_name(name) for name in ("validation.csv", "left_out.csv")]


def recordings(source: Source, clips: list[Clip]) -> Iterator[tuple[np.ndarray, int, float]]:
    """Samples, rate and bandwidth of what is kept of one speaker's clips.

    Where the bandwidth is known, and so the same for all, clips are joined.
    """
    if source.bandwidth is None:
        for samples, rate in sounds(source, clips):
            top = bandwidth(samples, rate)
            if source.band[0] <= top < source.band[1]:
                yield samples, rate, top
        return
    for rate, group in itertools.groupby(sounds(source, clips), lambda sound: sound[1]):
        waiting: list[np.ndarray] = []
        for samples, _ in group:
            waiting.append(samples)
            if sum(map(len, waiting)) > PACK * rate:
                yield np.concatenate(waiting), rate, source.bandwidth
                waiting = []
        if waiting:
            yield np.concatenate(waiting), rate, source.bandwidth


def sounds(source: Source, clips: list[Clip]) -> Iterator[tuple[np.ndarray, int]]:
    """Samples and rate of every clip that is neither too short nor too noisy."""
    for clip in clips:
        samples, rate = read(clip.path)
        if rate > TOP_RATE:
            samples, rate = soxr.resample(samples, rate, TOP_RATE), TOP_RATE
        if len(samples) >= MIN_CLIP_S * rate and snr(samples, rate) >= source.min_snr:
            yield samples, rate


def check(source: Source, taken: list[Path]) -> None:
    """Raises ValueError when these are not the files that the table means."""
    if len(taken) != source.count:
        raise ValueError(f"{source.origin} gave {len(taken)} of {source.count} files")
    found = fingerprint(taken)
    if found != source.sha256:
        raise ValueError(f"the files of {source.origin} have changed (sha256 {found})")


def build(source: Source, clips: list[Clip], folder: Path) -> None:
    """Write one source; its folder appears when it is complete.

    Raises:
        ValueError: nothing of it is kept.
    """
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    listed, speakers = [], []
    by_speaker = itertools.groupby(clips, lambda clip: clip.speaker)
    count = len({clip.speaker for clip in clips})
    for speaker, group in track(by_speaker, source.name, count):
        own = list(group)
        for number, (samples, rate, top) in enumerate(recordings(source, own)):
            path = part / f"{speaker}_{number:04d}.wav"
            soundfile.write(path, samples.clip(-1, 1), rate, subtype="PCM_16")
            listed.append(Recording(path, speaker, "train", bandwidth=top))
        speakers.append((speaker, own[0].gender, own[0].language))
    if not listed:
        raise ValueError("none of its recordings is good enough")
    make_manifest(listed, part / "manifest.csv")
    kept = {recording.speaker for recording in listed}
    with (part / "speakers.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("speaker", "gender", "language"))
        writer.writerows(row for row in speakers if row[0] in kept)
    part.rename(folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help="only these")
    parser.add_argument("--mirror", type=Path, default=Path("data/mirror"))
    parser.add_argument("--out", type=Path, default=Path("data/train"))
    options = parser.parse_args()
    table = read_table()
    unknown = set(options.sources) - {source.name for source in table}
    if unknown:
        parser.error(f"no such source: {', '.join(sorted(unknown))}")
    held_out: set[str] = set()
    for path in HELD_OUT:
        with path.open(newline="") as file:
            held_out |= {row["speaker"] for row in csv.DictReader(file)}
    missing = []
    for source in table:
        folder = options.out / source.name
        if folder.is_dir() or (options.sources and source.name not in options.sources):
            continue
        with tempfile.TemporaryDirectory() as temporary:
            files = Path(temporary)
            try:
                taken = fetch(source.origin, source.files, options.mirror, files)
                check(source, taken)
                clips = [clip for clip in find(source, files) if clip.speaker not in held_out]
                build(source, clips, folder)
            except (OSError, ValueError) as error:
                missing.append(f"{source.name}: {error}")
    write_attributions(table, options.out)
    for line in missing:
        print(f"missing: {line}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
