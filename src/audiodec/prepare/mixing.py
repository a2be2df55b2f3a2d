"""What a denoiser must undo: noise at a random level, and rooms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from audiodec.arrays import Samples
from audiodec.audio_files.folder import list_folder
from audiodec.audio_files.reading import describe_audio, open_audio, read_audio
from audiodec.audio_files.writing import create_audio, write_audio, write_whole
from audiodec.errors import AudioError, ConfigError


@dataclass(frozen=True)
class Mixer:
    """Puts clean speech into rooms and noise.

    Attributes:
        rate: Hz of what is mixed.
        noises: (file, frames, Hz).
        responses: of rooms, at `rate`, the direct sound first and 1.
        snr: dB, lowest and highest.
        room_probability: how often speech is heard in a room.
    """

    rate: int
    noises: list[tuple[Path, int, int]]
    responses: list[Samples]
    snr: tuple[float, float]
    room_probability: float

    @classmethod
    def of(
        cls,
        rate: int,
        noise: Sequence[Path],
        rooms: Path | None,
        snr: tuple[float, float],
        room_probability: float,
    ) -> Mixer:
        """Make a mixer of folders of noise and of room responses. Raises ConfigError when one is
        empty."""
        noises = []
        for path in (path for folder in noise for path in _audio_files(folder)):
            facts = describe_audio(str(path))
            if not facts.samples:
                raise AudioError(f"noise {path} holds no audio")
            noises.append((path, facts.samples, facts.rate))
        responses = []
        for path in _audio_files(rooms) if rooms else []:
            sound = read_audio(str(path))
            response = soxr.resample(sound.samples[:, 0], sound.rate, rate)
            if not np.any(response):
                raise AudioError(f"room response {path} is silent")
            response = response[int(np.argmax(np.abs(response))) :]
            responses.append((response / response[0]).astype(np.float32))
        return cls(rate, noises, responses, snr, room_probability)

    def __call__(self, clean: Samples, random: np.random.Generator) -> Samples:
        """Clean [channels, samples] -> the same, heard in a room and through noise."""
        heard = clean
        if self.responses and random.random() < self.room_probability:
            response = self.responses[int(random.integers(len(self.responses)))]
            heard = convolve(clean, response)
        if self.noises:
            noise = self.stretch(clean.shape[1], random)
            level = np.sqrt(np.mean(heard**2) / max(float(np.mean(noise**2)), 1e-12))
            heard = heard + noise * np.float32(level * 10 ** (-random.uniform(*self.snr) / 20))
        return heard

    def stretch(self, samples: int, random: np.random.Generator) -> Samples:
        """Draw a stretch of a random file of noise, [samples], repeated where the file is short."""
        path, frames, rate = self.noises[int(random.integers(len(self.noises)))]
        length = int(np.ceil(samples * rate / self.rate)) + 64
        start = int(random.integers(max(1, frames - length + 1)))
        with open_audio(str(path)) as audio:
            audio.seek(start)
            noise = audio.read(length)[:, 0]
        if rate != self.rate:
            noise = soxr.resample(noise, rate, self.rate, quality="MQ")
        return np.resize(noise, samples).astype(np.float32)


def convolve(samples: Samples, response: Samples) -> Samples:
    """Filter samples [..., samples] into as many as there were."""
    size = samples.shape[-1] + len(response)
    spectrum = np.fft.rfft(samples, size) * np.fft.rfft(response, size)
    return np.fft.irfft(spectrum, size)[..., : samples.shape[-1]].astype(np.float32)


def mix_file(
    clean: Path, target: Path, noisy: Path, mixer: Mixer, random: np.random.Generator
) -> None:
    """Write a recording and its noisy version as FLAC, both quieter where the sum would clip."""
    sound = read_audio(str(clean))
    speech, rate = np.ascontiguousarray(sound.samples.T), sound.rate
    heard = mixer(speech, random)
    loudest = max(1.0, float(np.abs(heard).max()))
    for path, signal in ((target, speech), (noisy, heard)):
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            write_whole(str(path)) as out,
            create_audio(out, str(path), rate, len(signal)) as audio,
        ):
            write_audio(audio, np.asarray(signal / loudest, np.float32))


def _audio_files(folder: Path) -> list[Path]:
    found = list_folder(folder).files
    if not found:
        raise ConfigError(f"{folder} holds no audio files")
    return found
