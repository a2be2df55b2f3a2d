"""The default model's training speech as WAV files under data/train.

    python recipes/data/build.py [--corpus ../shared/corpus] [--out data/train]

Sources and licences: src/audiodec/models/speech-48k/MODEL_CARD.md. The corpus folder holds the
sources that have no package; six more come from Debian (`apt-get download`, nothing is
installed). A source that is already there is skipped, one that cannot be had is named at the end,
with exit code 1. Needs the `bench` extra (PyAV decodes G.722). About 2 GB.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import soundfile
from rich.progress import track

CORPUS = (
    "kathleen", "nathalie", "tofugu_male", "tofugu_female", "gcompris_gd", "kerstin", "kokoro",
)  # fmt: skip
DEBIAN = {  # source: package, files inside it
    "festvox_ru": ("festvox-ru", "usr/share/festival/voices/russian/*/wav/*.wav"),
} | {
    f"asterisk_{language}": (
        f"asterisk-core-sounds-{language}-g722", "usr/share/asterisk/sounds/**/*.g722"
    )
    for language in ("ru", "en", "es", "fr", "it")
}  # fmt: skip
PACK = 20  # seconds: clips of one speaker are joined, so that short words fill whole crops


def unpack(package: str, folder: Path) -> None:
    """Download a Debian package and unpack it below `folder`."""
    subprocess.run(["apt-get", "download", "-q", package], cwd=folder, check=True)
    (archive,) = folder.glob("*.deb")
    subprocess.run(["dpkg", "-x", archive, folder], check=True)


def read(path: Path) -> tuple[np.ndarray, int]:
    """Mono samples and their rate, of anything libsndfile reads and of raw G.722."""
    if path.suffix == ".g722":
        with av.open(str(path), format="g722") as container:
            frames = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
        return np.concatenate([np.zeros(0, np.int16), *frames]) / np.float32(32768), 16000
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return samples.mean(axis=1), rate


def packs(paths: list[Path]) -> Iterator[tuple[str, np.ndarray, int]]:
    """Name, samples and rate; files shorter than a pack are joined with their neighbours.

    Kept apart whatever their length: kathleen's and kokoro's clips, whose names tell the held-out
    phrases and the voices.
    """
    apart = paths[0].parent.name in ("kathleen", "kokoro")
    waiting: list[np.ndarray] = []
    name = ""
    for i, path in enumerate(paths):
        samples, rate = read(path)
        name = name or path.stem
        waiting.append(samples)
        if apart or i == len(paths) - 1 or sum(map(len, waiting)) > PACK * rate:
            yield name, np.concatenate(waiting), rate
            waiting, name = [], ""


def build(name: str, paths: list[Path], out: Path) -> None:
    """Write one source; its folder appears when it is complete."""
    part = out / f".{name}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for stem, samples, rate in track(packs(paths), name, None):
        soundfile.write(part / f"{stem}.wav", samples.clip(-1, 1), rate, subtype="PCM_16")
    part.rename(out / name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=Path("../shared/corpus"))
    parser.add_argument("--out", type=Path, default=Path("data/train"))
    options = parser.parse_args()
    missing = []
    for name in (*CORPUS, *DEBIAN):
        if (options.out / name).is_dir():
            continue
        with tempfile.TemporaryDirectory() as temporary:
            folder, pattern = options.corpus / name, "*.opus"
            if name in DEBIAN:
                package, pattern = DEBIAN[name]
                folder = Path(temporary)
                try:
                    unpack(package, folder)
                except (OSError, subprocess.CalledProcessError) as error:
                    print(f"{name}: {error}", file=sys.stderr)
            paths = sorted(folder.glob(pattern))
            if paths:
                build(name, paths, options.out)
            else:
                missing.append(f"{name} ({folder / pattern})")
    if missing:
        print(f"missing sources: {', '.join(missing)}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
