"""Reading what the sources hold."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from audiodec.audio_files.reading import read_audio

SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".g722"}


def read(path: Path) -> tuple[np.ndarray, int]:
    """Mono samples and their rate, of anything libsndfile reads and of raw G.722."""
    if path.suffix == ".g722":
        with av.open(str(path), format="g722") as container:
            frames = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
        return np.concatenate([np.zeros(0, np.int16), *frames]) / np.float32(32768), 16000
    sound = read_audio(str(path))
    return sound.samples.mean(axis=1), sound.rate
