"""Spectrogram pictures with axes: what people would rather look at than read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from audiodec.arrays import Samples
from audiodec.audio_files.writing import write_whole

Pixels = NDArray[np.uint8]

MAKER = ("Software", "audiodec")  # in each picture, so that no other is overwritten
WINDOW_SAMPLES = 1024
RANGE_DBFS = (-100.0, -10.0)  # dB of full scale, black to white
# A dark-to-light ramp that is even in lightness (after matplotlib's "magma", by Smith and van
# der Walt, CC0), linear between these stops.
RAMP = np.array(
    [[0, 0, 4], [59, 15, 112], [140, 41, 129], [222, 73, 104], [254, 159, 109], [252, 253, 191]]
)


def spectrogram(samples: Samples, width: int, height: int) -> Pixels:
    """Compute a log-magnitude spectrogram, low frequencies at the bottom, [height, width, 3].

    Args:
        samples: mono, in [-1, 1]; shown from 0 Hz to half its rate.
    """
    padded = np.pad(samples, WINDOW_SAMPLES // 2)
    starts = np.linspace(0, max(0, len(samples) - 1), width).astype(int)
    frames = padded[starts[:, None] + np.arange(WINDOW_SAMPLES)] * np.hanning(WINDOW_SAMPLES)
    magnitude = np.abs(np.fft.rfft(frames)) / (WINDOW_SAMPLES / 4)
    db = 20 * np.log10(np.maximum(magnitude, 1e-7)).T[::-1]
    rows = np.linspace(0, len(db) - 1, height).round().astype(int)
    black, white = RANGE_DBFS
    level = np.clip((db[rows] - black) / (white - black), 0, 1) * (len(RAMP) - 1)
    stops = np.arange(len(RAMP))
    colours = [np.interp(level, stops, RAMP[:, channel]) for channel in range(3)]
    return np.stack(colours, axis=-1).astype(np.uint8)


def compare(titles_and_samples: dict[str, Samples], rate: int) -> Image.Image:
    """Draw spectrograms of signals one above the other, with time in s and frequency in kHz."""
    width, height, left, top, bottom = 1000, 260, 60, 30, 30
    panel = top + height + bottom
    image = Image.new("RGB", (left + width + 20, panel * len(titles_and_samples)), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(14)
    for i, (title, samples) in enumerate(titles_and_samples.items()):
        y = i * panel + top
        image.paste(Image.fromarray(spectrogram(samples, width, height)), (left, y))
        draw.text((left, y - 22), title, "black", font)
        for kilohertz in range(0, rate // 2000 + 1, 4):
            at = y + height - round(kilohertz * 2000 / rate * height)
            draw.line((left - 6, at, left - 1, at), "black")
            draw.text((left - 10, at), f"{kilohertz} kHz", "black", font, anchor="rm")
        seconds = len(samples) / rate
        tick = next((t for t in (0.5, 1, 2, 5, 10, 30, 60, 300) if seconds / t <= 12), 900)
        for n in range(int(seconds / tick) + 1):
            at = left + round(n * tick / seconds * width)
            draw.line((at, y + height, at, y + height + 5), "black")
            draw.text((at, y + height + 7), f"{n * tick:g} s", "black", font, anchor="mt")
    return image


def save_comparison(titles_and_samples: dict[str, Samples], rate: int, path: Path) -> None:
    """Write `compare` as a PNG file. Raises AudioError when it cannot be written."""
    about = PngInfo()
    about.add_text(*MAKER)
    with write_whole(str(path)) as file:
        compare(titles_and_samples, rate).save(file, format="PNG", pnginfo=about)


def may_replace(path: Path) -> bool:
    """Tell whether a picture may be written there: nothing is there, or one that was made here."""
    try:
        with Image.open(path) as image:
            return image.info.get(MAKER[0]) == MAKER[1]
    except FileNotFoundError:
        return True
    except (OSError, ValueError, SyntaxError):  # no picture; Pillow raises all of these
        return False
