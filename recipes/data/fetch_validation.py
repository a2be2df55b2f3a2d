"""Fetch the validation clips of validation.csv: unseen speakers, as 48 kHz FLAC.

    python recipes/data/fetch_validation.py [--eval ../shared/eval] [--out data/validation]

Clips come from two Debian packages (`apt-get download`, nothing is installed; GPL audio, for
evaluation only) and from the eval folder. Several files of one speaker are joined. One folder a
speaker. Those that cannot be had are named at the end, with exit code 1. validation.csv is also the
table for `bench quality --labels`; its gender is what the source states, and empty otherwise.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import soxr
from build import read, unpack

RATE = 48000
LONGEST = 8  # seconds
LIST = Path(__file__).with_name("validation.csv")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--eval", type=Path, default=Path("../shared/eval"))
    parser.add_argument("--out", type=Path, default=Path("data/validation"))
    options = parser.parse_args()
    with LIST.open(newline="") as file:
        rows = list(csv.DictReader(file))
    missing = []
    with tempfile.TemporaryDirectory() as temporary:
        folders = {"shared/eval": options.eval}
        for package in {row["source"] for row in rows} - folders.keys():
            folders[package] = Path(temporary) / package
            folders[package].mkdir()
            try:
                unpack(package, folders[package])
            except (OSError, subprocess.CalledProcessError) as error:
                print(f"{package}: {error}", file=sys.stderr)
        for row in rows:
            paths = [folders[row["source"]] / name for name in row["files"].split("|")]
            if not all(path.is_file() for path in paths):
                missing.append(row["clip"])
                continue
            parts = [soxr.resample(samples, rate, RATE) for samples, rate in map(read, paths)]
            target = options.out / row["speaker"] / f"{row['clip']}.flac"
            target.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(target, np.concatenate(parts)[: LONGEST * RATE].clip(-1, 1), RATE)
    print(f"{len(rows) - len(missing)} of {len(rows)} clips in {options.out}")
    if missing:
        print(f"missing: {', '.join(missing)}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
