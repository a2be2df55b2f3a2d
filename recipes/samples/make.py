"""Make the page to listen to, docs/samples, by one command:

    python recipes/samples/make.py [--mirror DIR] [--eval ../shared/eval] [--out docs/samples]

It needs `pip install '.[train,bench]' ai-edge-litert` and Lyra's graphs (docs/codecs.md). The clips
of clips.toml come from a public repository with a sample of Mozilla Common Voice, which is cloned
(195 MB) unless --mirror names a folder with a bare copy of it, and from the eval folder.

Sound is MP3 (about 96 kbps, mono) in base64, one script per clip: a page that is opened from a disk
may load scripts, but not fetch files.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import subprocess
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import matplotlib.pyplot as plt
import numpy as np
import soundfile
import soxr
from rich.progress import track

from audiodec.audio_files.reading import read_audio
from audiodec.evaluation.codecs import RATE, code
from audiodec.evaluation.codecs.registry import find_specs
from audiodec.evaluation.listening.stimuli import equalise
from audiodec.prepare.rooms import simulate

HERE = Path(__file__).parent
REPOSITORY = "omnilingo/rsample-100-cv-corpus-6.1-2020-12-11"
COMMIT = "6785f863fe"
BABBLE = [  # who talks in the background: six other people
    f"cy/clips/common_voice_cy_{number}.mp3"
    for number in (21341050, 18370477, 20593204, 19070485, 17658250, 23054178)
]
MP3_QUALITY = 0.45  # of libsndfile's variable bitrate, 0 best; about 96 kbps here
PICTURE_INCHES, PICTURE_DPI = (6.4, 2.2), 100
VERSIONS: list[tuple[str, str, float]] = [  # label, codec as in docs/codecs.md, kbps asked for
    ("AudioDec 12", "ours", 12),
    ("AudioDec 9", "ours", 9),
    ("AudioDec 6", "ours", 6),
    ("AudioDec 3", "ours", 3),
    ("Opus 12", "opus", 12),
    ("Opus fullband 12", "opus-fullband", 12),
    ("Lyra v2 6", "lyra", 6),
]
BEAM_WIDTH = 4  # the command line's for files


@dataclass(frozen=True)
class Source:
    """Where clips come from: a git directory with Common Voice, and a folder."""

    git: Path
    eval: Path

    def read(self, clip: dict[str, Any]) -> np.ndarray:
        """The part of a clip that is shown, [samples] at 48 kHz, in a room or among voices."""
        if "eval" in clip:
            samples = mono(self.eval / clip["eval"])
        else:
            samples = self.voice(clip["commonvoice"])
        at = round(clip["start"] * RATE)
        samples = samples[at : at + round(clip["seconds"] * RATE)]
        if "babble_snr_db" in clip:
            samples = mix(samples, self.babble(len(samples)), clip["babble_snr_db"])
        if "room_seed" in clip:
            (response,) = simulate(1, RATE, clip["room_seed"])
            samples = np.convolve(samples, response)[: len(samples)]
        return np.asarray(samples / max(1, np.abs(samples).max()), np.float32)

    def babble(self, size: int) -> np.ndarray:
        """Six people at once, each as loud as the others and talking all the time."""
        voices = (self.voice(name) for name in BABBLE)
        return sum(np.resize(voice / np.std(voice), size) for voice in voices)

    def voice(self, path: str) -> np.ndarray:
        """A clip of Common Voice, [samples] at 48 kHz."""
        with tempfile.NamedTemporaryFile(suffix=Path(path).suffix) as file:
            file.write(run_git(self.git, "cat-file", "blob", f"{COMMIT}:{path}"))
            file.flush()
            return mono(Path(file.name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mirror", type=Path, help="folder of bare snapshots, owner+name/repo")
    parser.add_argument("--eval", type=Path, default=Path("../shared/eval"))
    parser.add_argument("--out", type=Path, default=Path("docs/samples"))
    options = parser.parse_args()
    clips = tomllib.loads((HERE / "clips.toml").read_text())["clips"]
    with tempfile.TemporaryDirectory() as folder:
        git = Path(folder) / "commonvoice"
        if options.mirror:
            git = options.mirror / REPOSITORY.replace("/", "+") / "repo"
        else:
            address = f"https://github.com/{REPOSITORY}"
            subprocess.run(["git", "clone", "--bare", "-q", address, str(git)], check=True)
        source = Source(git, options.eval)
        shown = [make_clip(clip, source.read(clip), options.out) for clip in track(clips)]
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.from_string((HERE / "page.html").read_text())
    parts = {"style": (HERE / "page.css").read_text(), "script": (HERE / "page.js").read_text()}
    (options.out / "index.html").write_text(page.render(clips=shown, **parts))


def make_clip(clip: dict[str, Any], samples: np.ndarray, out: Path) -> dict[str, Any]:
    """Code one clip with everything, write its pictures and its script; returns it for the page."""
    sounds, kbps = {"original": samples}, {"original": None}
    for label, codec, rate in VERSIONS:
        (spec,) = find_specs([codec], [rate], beam_width=BEAM_WIDTH)
        result = code(spec.create(), samples)
        sounds[label] = result.audio
        kbps[label] = result.payload_bytes * 8 * RATE / len(samples) / 1000
    level = equalise({name: s[:, None].astype(float) for name, s in sounds.items()}, RATE)
    data, versions = [], []
    for number, (name, sound) in enumerate(level.items()):
        picture = f"pictures/{clip['name']}-{number}.webp"
        write(out / picture, draw(sound[:, 0]))
        data.append(base64.b64encode(mp3(sound[:, 0])).decode())
        versions.append({"name": name, "kbps": kbps[name], "picture": picture})
    script = f"loaded({json.dumps(clip['name'])}, {json.dumps(data)});\n"
    write(out / f"sounds/{clip['name']}.js", script.encode())
    return {**clip, "seconds": len(samples) / RATE, "versions": versions}


def mono(file: Path) -> np.ndarray:
    sound = read_audio(str(file))
    return np.asarray(soxr.resample(sound.samples.mean(axis=1), sound.rate, RATE))


def mix(speech: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    gain = np.std(speech) / np.std(noise) * 10 ** (-snr_db / 20)
    return speech + gain * noise


def mp3(samples: np.ndarray) -> bytes:
    out = io.BytesIO()
    soundfile.write(
        out, samples, RATE, format="MP3", bitrate_mode="VARIABLE", compression_level=MP3_QUALITY
    )
    return out.getvalue()


def draw(samples: np.ndarray) -> bytes:
    """A spectrogram without axes, 0 to 24 kHz, as WebP."""
    figure = plt.figure(figsize=PICTURE_INCHES, facecolor="black")
    axis = figure.add_axes((0, 0, 1, 1))
    axis.specgram(
        samples + 1e-9, NFFT=1024, Fs=RATE, noverlap=768, cmap="magma", vmin=-140, vmax=-45
    )
    axis.set_axis_off()
    axis.set_xlim(0, len(samples) / RATE)
    out = io.BytesIO()
    figure.savefig(out, dpi=PICTURE_DPI, format="webp", pil_kwargs={"quality": 60})
    plt.close(figure)
    return out.getvalue()


def run_git(folder: Path, *arguments: str) -> bytes:
    command = ["git", "--git-dir", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


if __name__ == "__main__":
    main()
