"""What a denoiser must undo: noise at a random level, and rooms."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from audiodec.errors import ConfigError
from audiodec.training.recipe import Data

Samples = NDArray[np.float32]


@dataclass
class Pollution:
    """Adds noise to crops at the input's rate.

    Args:
        noises: (file, frames, Hz).
        responses: room responses at `rate`, their direct sound at the first sample.
    """

    data: Data
    rate: int
    noises: list[tuple[Path, int, int]]
    responses: list[Samples]

    @classmethod
    def of(cls, data: Data, rate: int) -> Pollution | None:
        """What a recipe asks for, or None. Raises ConfigError when its folders hold nothing."""
        if not data.noise and data.rooms is None:
            return None
        noises = []
        for folder in data.noise:
            files = [(p, soundfile.info(p)) for p in _audio_files(Path(folder))]
            noises += [(p, info.frames, info.samplerate) for p, info in files]
        responses = []
        for path in _audio_files(Path(data.rooms)) if data.rooms else []:
            response, found = soundfile.read(path, dtype="float32", always_2d=True)
            response = soxr.resample(response[:, 0], found, rate)
            responses.append(response[int(np.argmax(np.abs(response))) :].astype(np.float32))
        return cls(data, rate, noises, responses)

    def __call__(self, clean: Samples, random: np.random.Generator) -> Samples:
        """Clean [channels, samples] -> the same, heard in a room and through noise."""
        heard = clean
        if self.responses and random.random() < self.data.room_probability:
            response = self.responses[int(random.integers(len(self.responses)))]
            size = clean.shape[1] + len(response)
            spectrum = np.fft.rfft(clean, size) * np.fft.rfft(response / response[0], size)
            heard = np.fft.irfft(spectrum, size)[:, : clean.shape[1]].astype(np.float32)
        if self.noises:
            noise = self._noise(clean.shape[1], random)
            snr = random.uniform(*self.data.snr)
            level = np.sqrt(np.mean(heard**2) / max(float(np.mean(noise**2)), 1e-12))
            heard = heard + noise * np.float32(level * 10 ** (-snr / 20))
        return heard

    def _noise(self, samples: int, random: np.random.Generator) -> Samples:
        """A stretch of a random file, repeated where the file is short."""
        path, frames, rate = self.noises[int(random.integers(len(self.noises)))]
        length = int(np.ceil(samples * rate / self.rate)) + 64
        start = int(random.integers(max(1, frames - length + 1)))
        with soundfile.SoundFile(path) as file:
            file.seek(start)
            noise = file.read(length, dtype="float32", always_2d=True)[:, 0]
        if rate != self.rate:
            noise = soxr.resample(noise, rate, self.rate, quality="MQ")
        return np.resize(noise, samples).astype(np.float32)


def _audio_files(folder: Path) -> list[Path]:
    found = [p for p in sorted(folder.rglob("*")) if p.suffix.lower() in (".wav", ".flac", ".ogg")]
    if not found:
        raise ConfigError(f"{folder} holds no WAV, FLAC or OGG files")
    return found
