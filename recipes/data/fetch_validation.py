"""Fetch the validation clips of validation.csv: unseen speakers, as 48 kHz FLAC.

    python recipes/data/fetch_validation.py [--mirror data/mirror] [--eval ../shared/eval]
                                            [--out data/validation]

Clips come from public repositories (as in build.py), from two Debian packages (GPL audio, for
evaluation only; nothing is installed) and from the eval folder. Several files of one speaker are
joined. One folder a speaker. Those that cannot be had are named at the end, with exit code 1.
validation.csv is also the table for `bench quality --labels`; its gender is what the source states,
and empty otherwise.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import soxr
from origins import fetch
from sound import read

RATE = 48000
MAX_CLIP_S = 8
LIST = Path(__file__).with_name("validation.csv")
EVAL = "shared/eval"  # the source that is a folder


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mirror", type=Path, default=Path("data/mirror"))
    parser.add_argument("--eval", type=Path, default=Path("../shared/eval"))
    parser.add_argument("--out", type=Path, default=Path("data/validation"))
    options = parser.parse_args()
    with LIST.open(newline="") as file:
        rows = list(csv.DictReader(file))
    missing = []
    with tempfile.TemporaryDirectory() as temporary:
        folders = {EVAL: options.eval}
        for number, source in enumerate(sorted({row["source"] for row in rows} - {EVAL})):
            folders[source] = Path(temporary) / str(number)
            folders[source].mkdir()
            files = [f for row in rows if row["source"] == source for f in row["files"].split("|")]
            try:
                fetch(source, "|".join(map(re.escape, files)), options.mirror, folders[source])
            except OSError as error:
                print(f"{source}: {error}", file=sys.stderr)
        for row in rows:
            paths = [folders[row["source"]] / name for name in row["files"].split("|")]
            if not all(path.is_file() for path in paths):
                missing.append(row["clip"])
                continue
            parts = [soxr.resample(samples, rate, RATE) for samples, rate in map(read, paths)]
            target = options.out / row["speaker"] / f"{row['clip']}.flac"
            target.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(target, np.concatenate(parts)[: MAX_CLIP_S * RATE].clip(-1, 1), RATE)
    print(f"{len(rows) - len(missing)} of {len(rows)} clips in {options.out}")
    if missing:
        print(f"missing: {', '.join(missing)}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
