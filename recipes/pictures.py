"""Draw the README's pictures, light and dark, into docs/pictures.

    python recipes/pictures.py

`quality-*.svg` is drawn from docs/benchmark/scores.csv. `spectrograms-*.png` codes the bundled clip
with the bundled model and with Opus, so it needs `pip install '.[bench]'`.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

import audiodec
from audiodec.audio_files.reading import read_audio
from audiodec.evaluation.codecs import code
from audiodec.evaluation.codecs.opus import Opus

ROOT = Path(__file__).parents[1]
OUT = ROOT / "docs" / "pictures"
CLIP = ROOT / "src" / "audiodec" / "assets" / "speech.flac"  # CA01 of ViSQOL, in no training data
MAX_KBPS = 17
BITRATE_KBPS = 6
# Colours after Okabe and Ito (2008), which people with every kind of colour vision can tell apart.
CURVES = {  # family in scores.csv: (label, colour, marker)
    "AudioDec": ("AudioDec", "#d55e00", "o"),
    "Opus 1.6.1 auto": ("Opus", "#0072b2", "s"),
    "Opus 1.6.1 fullband": ("Opus, fullband", "#56b4e9", "D"),
    "AMR-WB": ("AMR-WB", "#009e73", "^"),
    "Lyra v2": ("Lyra v2", "#cc79a7", "v"),
}
PANELS = {  # column in scores.csv: (title, lowest and highest value shown)
    "PESQ-WB": ("PESQ-WB, which hears up to 8 kHz", (1, 4)),
    "ViSQOL-audio": ("ViSQOL audio, which hears the whole band", (1, 4.4)),
}


@dataclass(frozen=True)
class Theme:
    """Colours of text and lines on the page that the picture stands on."""

    name: str
    text: str
    grid: str


THEMES = (Theme("light", "#1f2328", "#d1d9e0"), Theme("dark", "#e6edf3", "#3d444d"))


def main() -> None:
    OUT.mkdir(exist_ok=True)
    clip = read_audio(str(CLIP))
    samples, rate = clip.samples[:, 0], clip.rate
    versions = {"original": samples} | decoded(samples, rate)
    scores = read_scores(ROOT / "docs" / "benchmark" / "scores.csv")
    for theme in THEMES:
        with mpl.rc_context(style(theme)):
            draw_quality(scores).savefig(OUT / f"quality-{theme.name}.svg")
            save_small(draw_spectrograms(versions, rate), OUT / f"spectrograms-{theme.name}.png")
        plt.close("all")


def style(theme: Theme) -> dict[str, object]:
    """Settings of matplotlib: transparent, and the same bytes each time."""
    return {
        "text.color": theme.text, "axes.labelcolor": theme.text, "axes.edgecolor": theme.grid,
        "xtick.color": theme.text, "ytick.color": theme.text, "grid.color": theme.grid,
        "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
        "axes.axisbelow": True, "font.size": 11, "legend.frameon": False,
        "savefig.transparent": True, "savefig.dpi": 130, "svg.fonttype": "path",
        "svg.hashsalt": "audiodec",
    }  # fmt: skip


def read_scores(path: Path) -> dict[str, list[dict[str, float]]]:
    """Rows up to MAX_KBPS by codec family, in the order of their rate."""
    families = defaultdict(list)
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            if float(row["kbps"]) <= MAX_KBPS:
                numbers = {name: float(row[name]) for name in ("kbps", *PANELS)}
                families[row["family"]].append(numbers)
    return {name: sorted(rows, key=lambda row: row["kbps"]) for name, rows in families.items()}


def draw_quality(scores: dict[str, list[dict[str, float]]]) -> plt.Figure:
    figure, axes = plt.subplots(1, len(PANELS), figsize=(10, 3.9), layout="constrained")
    for axis, (metric, (title, limits)) in zip(axes, PANELS.items(), strict=True):
        for family, (label, colour, marker) in CURVES.items():
            axis.plot(
                [row["kbps"] for row in scores[family]], [row[metric] for row in scores[family]],
                label=label, color=colour, marker=marker, markersize=5,
                linewidth=3 if family == "AudioDec" else 1.6,
                zorder=3 if family == "AudioDec" else 2,
            )  # fmt: skip
        axis.set(xlim=(0, MAX_KBPS), ylim=limits, xlabel="measured kbps", ylabel="higher is better")
        axis.set_title(title, fontsize=12, loc="left")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, ncols=len(CURVES), loc="outside lower center")
    return figure


def decoded(samples: np.ndarray, rate: int) -> dict[str, np.ndarray]:
    """The clip through both codecs at about the same rate; measured kbps in the titles."""
    codec = audiodec.load()
    packets = codec.encoder(bitrate=BITRATE_KBPS, beam_width=4)
    size = sum(map(len, [*packets.write(samples), *packets.drain()]))
    ours = codec.decode(codec.encode(samples, bitrate=BITRATE_KBPS, beam_width=4), len(samples))
    opus = code(Opus(BITRATE_KBPS, fullband=False), samples)
    seconds = len(samples) / rate
    return {
        f"AudioDec, {size * 8 / seconds / 1000:.1f} kbps": ours,
        f"Opus, {opus.payload_bytes * 8 / seconds / 1000:.1f} kbps": opus.audio,
    }


def save_small(figure: plt.Figure, path: Path) -> None:
    """As PNG with a palette: a fifth of the size."""
    pixels = BytesIO()
    figure.savefig(pixels, format="png")
    image = Image.open(pixels).quantize(256, method=Image.Quantize.FASTOCTREE)
    image.save(path, optimize=True)


def draw_spectrograms(versions: dict[str, np.ndarray], rate: int) -> plt.Figure:
    figure, axes = plt.subplots(
        1, len(versions), figsize=(10, 2.9), sharey=True, layout="constrained"
    )
    for axis, (title, samples) in zip(axes, versions.items(), strict=True):
        axis.specgram(
            samples + 1e-9, NFFT=1024, Fs=rate, noverlap=768, cmap="magma", vmin=-140, vmax=-45
        )
        axis.set_title(title, fontsize=12, loc="left")
        axis.set(xlabel="seconds", ylim=(0, rate / 2))
        axis.grid(visible=False)
        axis.set_yticks(range(0, rate // 2 + 1, 4000), range(0, rate // 2000 + 1, 4))
    axes[0].set_ylabel("kHz")
    return figure


if __name__ == "__main__":
    main()
