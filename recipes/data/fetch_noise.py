"""Noise for denoising, under data/noise: `train` to learn from and `test` to score on.

    python recipes/data/fetch_noise.py [--speech data/train/commonvoice_14k] [--out data/noise]

From Debian (`apt-get download`, nothing is installed): ambience of ufoai-sound (GPL-2+ and
CC-BY-3.0; wind, fire, water, machines, a city), every second file for training, the others for
the test together with those of wesnoth-1.16-data (GPL-2+; birds, a camp fire, a ship, night).
Made here: noise of random colour that swells, and a babble of six of the training voices at once.
A folder that is already there is skipped.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import soundfile
import soxr
from origins import unpack
from sound import read

RATE = 48000
SECONDS = 60  # of each made file
AMBIENCE = "usr/share/games/ufoai/base/0snd.pk3"
WESNOTH = "usr/share/games/wesnoth/1.16/data/core/sounds/ambient/*.ogg"
NOT_NOISE = ("jingle", "radiomessage", "tv_newswav", "disco")


def coloured(random: np.random.Generator) -> np.ndarray:
    """Noise whose spectrum falls by 0 to 9 dB an octave and whose level swells by some dB."""
    size = SECONDS * RATE
    spectrum = np.fft.rfft(random.standard_normal(size))
    frequency = np.maximum(np.arange(len(spectrum)) / SECONDS, 50)
    noise = np.fft.irfft(spectrum * frequency ** -random.uniform(0, 1.5), size)
    points = random.uniform(-6, 6, SECONDS + 1)
    swell = np.interp(np.arange(size) / RATE, np.arange(SECONDS + 1), points)
    return noise * 10 ** (swell / 20)


def babble(paths: list[Path], random: np.random.Generator) -> np.ndarray:
    """Six voices, each talking all the time."""
    total = np.zeros(SECONDS * RATE)
    for _ in range(6):
        at = 0
        while at < len(total):
            samples, rate = read(paths[int(random.integers(len(paths)))])
            piece = soxr.resample(samples, rate, RATE)[: len(total) - at]
            total[at : at + len(piece)] += piece / (np.sqrt(np.mean(piece**2)) + 1e-4)
            at += len(piece)
    return total


def write(folder: Path, name: str, samples: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    loudest = max(np.abs(samples).max(), 1e-6)
    soundfile.write(folder / f"{name}.flac", 0.9 * samples / loudest, RATE)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--speech", type=Path, default=Path("data/train/commonvoice_14k"))
    parser.add_argument("--out", type=Path, default=Path("data/noise"))
    options = parser.parse_args()
    if options.out.is_dir():
        return 0
    part = options.out.with_name(f".{options.out.name}.part")
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for package in ("ufoai-sound", "wesnoth-1.16-data"):
            (folder / package).mkdir()
            unpack(package, folder / package)
        archive = zipfile.ZipFile(folder / "ufoai-sound" / AMBIENCE)
        names = [n for n in archive.namelist() if "/ambience/" in n and n.endswith(".ogg")]
        names = [n for n in sorted(names) if not any(word in n for word in NOT_NOISE)]
        ambient = [Path(archive.extract(name, folder)) for name in names]
        ambient_test = ambient[1::2] + sorted((folder / "wesnoth-1.16-data").glob(WESNOTH))
        for split, paths in (("train", ambient[::2]), ("test", ambient_test)):
            for path in paths:
                samples, rate = read(path)
                write(part / split, path.stem, soxr.resample(samples, rate, RATE))
    for i in range(8):
        write(part / "train", f"coloured_{i}", coloured(random))
    voices = sorted(options.speech.glob("*.wav"))
    if not voices:
        print(f"no babble: {options.speech} holds no speech (build.py)", file=sys.stderr)
        return 1
    for i in range(8):
        write(part / "train", f"babble_{i}", babble(voices, random))
    part.rename(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
