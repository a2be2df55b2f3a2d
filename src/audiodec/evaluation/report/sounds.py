"""Clips as codecs left them: pictures side by side, and sound at equal loudness."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from audiodec.errors import AudioError
from audiodec.evaluation.codecs import RATE
from audiodec.evaluation.listening.stimuli import equalise
from audiodec.evaluation.picture import spectrogram
from audiodec.evaluation.quality import read_clip
from audiodec.evaluation.quality.runner import ORIGINAL, file_name

PICTURE_PIXELS = (460, 200)  # pixels


@dataclass(frozen=True)
class Version:
    """One clip through one codec, or the original, as data URIs; `audio` is empty if not asked."""

    name: str
    picture: str
    audio: str


@dataclass(frozen=True)
class ClipSounds:
    """One clip, its original first."""

    name: str
    seconds: float
    versions: Sequence[Version]


def read_sounds(folder: Path, clip: str, codecs: Sequence[str], audio: bool) -> ClipSounds:
    """Find what `bench quality --keep` has kept of a clip, at -23 LUFS (ITU-R BS.1770-4).

    Args:
        codecs: names, in order; those that were not kept are left out.
        audio: whether to hold the sound, not only pictures.

    Raises:
        AudioError: nothing was kept of it.
    """
    own = folder / file_name(clip)
    paths = {name: own / f"{file_name(name)}.flac" for name in (ORIGINAL, *codecs)}
    paths = {name: path for name, path in paths.items() if path.is_file()}
    if ORIGINAL not in paths:
        raise AudioError(
            f"{own} holds no sound: run audiodec bench quality again with --keep {clip}"
        )
    sounds = {name: read_clip(path) for name, path in paths.items()}
    length = min(map(len, sounds.values()))
    # [samples, 1]: loudness is measured over channels.
    level = equalise({n: s[:length, None].astype(np.float64) for n, s in sounds.items()}, RATE)
    versions = [
        Version(name, _picture(sound[:, 0]), _flac(sound[:, 0]) if audio else "")
        for name, sound in level.items()
    ]
    return ClipSounds(clip, length / RATE, versions)


def _picture(sound: np.ndarray) -> str:
    image, out = spectrogram(sound.astype(np.float32), *PICTURE_PIXELS), io.BytesIO()
    Image.fromarray(image).save(out, format="WEBP", quality=70)
    return f"data:image/webp;base64,{base64.b64encode(out.getvalue()).decode()}"


def _flac(sound: np.ndarray) -> str:
    out = io.BytesIO()
    soundfile.write(out, sound, RATE, format="FLAC", subtype="PCM_16")
    return f"data:audio/flac;base64,{base64.b64encode(out.getvalue()).decode()}"
