"""Random crops of speech from folders of recordings, as a pure function of (seed, step)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from audiodec.errors import AudioError, ConfigError
from audiodec.training.recipe import Data, Source

SUFFIXES = {f".{name.lower()}" for name in soundfile.available_formats()} | {".opus", ".oga"}
TRUSTED = 0.93  # share of a source's bandwidth that filters before its edge leave intact
QUIETEST = 1e-3  # rms (-60 dBFS) below which a crop teaches nothing
CLIPPED_SHARE = 1e-3  # of samples at full scale, above which a crop is dropped
TRIES = 100  # crops looked at before a source is called unusable

Samples = NDArray[np.float32]


@dataclass
class Clip:
    """One recording: where it is, its rate in Hz and its length in samples."""

    path: Path
    rate: int
    length: int


@dataclass
class Batch:
    """Training input.

    Attributes:
        audio: [batch, samples], float32 in [-1, 1].
        bandwidth: Hz up to which each item holds real content, [batch].
    """

    audio: Tensor
    bandwidth: Tensor


def find_clips(source: Source, shortest: float) -> list[Clip]:
    """Recordings of a source that hold at least `shortest` seconds.

    Raises:
        ConfigError: the folder is missing or holds none.
    """
    folder = Path(source.path)
    if not folder.is_dir():
        raise ConfigError(f"source folder {folder} does not exist")
    held_out = re.compile(source.exclude) if source.exclude else None
    clips = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in SUFFIXES or (held_out and held_out.search(path.name)):
            continue
        try:
            info = soundfile.info(path)
        except soundfile.SoundFileError as error:
            raise AudioError(f"{path} cannot be read: {error}; remove it or repair it") from None
        if info.duration >= shortest:
            clips.append(Clip(path, info.samplerate, info.frames))
    if not clips:
        raise ConfigError(f"source folder {folder} has no recording of {shortest:g} s or more")
    return clips


class Crops(Dataset[Batch]):
    """`crops[step]` is the batch of that step, whatever came before: resuming is exact.

    Args:
        data: the recipe's data settings.
        sample_rate: Hz of the crops; sources are resampled.
        hop: crops are whole frames of this many samples.
        seed: of the run.
    """

    def __init__(self, data: Data, sample_rate: int, hop: int, seed: int) -> None:
        self.data, self.rate, self.seed = data, sample_rate, seed
        self.samples = max(1, round(data.crop * sample_rate / hop)) * hop
        reach = 1.1 * max(data.speed) * self.samples / sample_rate
        self.clips = [find_clips(source, reach) for source in data.sources]
        weights = np.array([source.weight for source in data.sources])
        self.source_share = weights / weights.sum()
        self.clip_share = []
        for clips in self.clips:
            seconds = np.array([clip.length / clip.rate for clip in clips])
            self.clip_share.append(seconds / seconds.sum())

    @property
    def seconds(self) -> float:
        """Audio in one batch."""
        return self.data.batch * self.samples / self.rate

    def __getitem__(self, step: int) -> Batch:
        random = np.random.default_rng([self.seed, step])
        items = [self._crop(random) for _ in range(self.data.batch)]
        audio = torch.from_numpy(np.stack([samples for samples, _ in items]))
        return Batch(audio, torch.tensor([bandwidth for _, bandwidth in items]))

    def _crop(self, random: np.random.Generator) -> tuple[Samples, float]:
        index = int(random.choice(len(self.clips), p=self.source_share))
        clips, source = self.clips[index], self.data.sources[index]
        for _ in range(TRIES):
            clip = clips[int(random.choice(len(clips), p=self.clip_share[index]))]
            speed = 1.0
            if random.random() < self.data.speed_probability:
                speed = float(np.exp(random.uniform(*np.log(self.data.speed))))
            samples = self._read(clip, speed, random)
            loud = np.sqrt(np.mean(samples**2)) >= QUIETEST
            if loud and np.mean(np.abs(samples) >= 0.999) <= CLIPPED_SHARE:
                bandwidth = self._bandwidth(source, clip, speed)
                if random.random() < self.data.lowpass_probability:
                    cutoff = float(np.exp(random.uniform(*np.log(self.data.lowpass))))
                    samples = lowpass(samples, min(cutoff, bandwidth), self.rate)
                    bandwidth = self.rate / 2  # now it is known what lies above: nothing
                gain = 10 ** (random.uniform(*self.data.gain) / 20)
                samples *= min(gain, 0.99 / np.abs(samples).max())
                return samples, bandwidth
        raise AudioError(f"{source.path}: {TRIES} crops in a row were silent or clipped")

    def _read(self, clip: Clip, speed: float, random: np.random.Generator) -> Samples:
        """A crop, played `speed` times as fast: pitch and formants move together."""
        ratio = speed * clip.rate / self.rate
        length = int(np.ceil(self.samples * ratio)) + 64
        start = int(random.integers(clip.length - length + 1))
        with soundfile.SoundFile(clip.path) as file:
            file.seek(start)
            samples = file.read(length, dtype="float32", always_2d=True)
        mono = samples[:, int(random.integers(samples.shape[1]))]
        if ratio != 1:
            mono = soxr.resample(mono, clip.rate * speed, self.rate, quality="MQ")
        out = np.zeros(self.samples, np.float32)
        out[: len(mono)] = mono[: self.samples]
        return out

    def _bandwidth(self, source: Source, clip: Clip, speed: float) -> float:
        nyquist = self.rate / 2
        edge = min(source.bandwidth, clip.rate / 2) * speed
        return nyquist if edge >= nyquist else TRUSTED * edge


def lowpass(samples: Samples, cutoff: float, rate: int) -> Samples:
    """Remove what lies above `cutoff` Hz, with a fade over a twentieth of it."""
    frequency = np.fft.rfftfreq(len(samples), 1 / rate)
    gain = np.clip((1.05 * cutoff - frequency) / (0.05 * cutoff), 0, 1)
    return np.fft.irfft(np.fft.rfft(samples) * gain, len(samples)).astype(np.float32)
