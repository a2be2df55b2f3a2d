"""Music for `bench robustness --music`, as FLAC under data/music.

    python recipes/data/fetch_music.py [--out data/music]

Four songs without singing by Carlos Viola, "Sectoid" (MIT licence), from Debian's
fretsonfire-songs-sectoid (`apt-get download`, nothing is installed): the guitar and all the rest,
which come apart, are mixed. A folder that is already there is left as it is.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from origins import unpack
from sound import read

PACKAGE, SONGS = "fretsonfire-songs-sectoid", "usr/share/games/fretsonfire/data/songs/sectoid/*/"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("data/music"))
    options = parser.parse_args()
    if options.out.is_dir():
        return 0
    part = options.out.with_name(f".{options.out.name}.part")
    part.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        unpack(PACKAGE, Path(temporary))
        for song in sorted(Path(temporary).glob(SONGS)):
            (rest, rate), (guitar, _) = (read(song / f"{name}.ogg") for name in ("song", "guitar"))
            mix = rest + guitar
            soundfile.write(part / f"{song.name}.flac", mix / max(1, np.abs(mix).max()), rate)
    part.rename(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
