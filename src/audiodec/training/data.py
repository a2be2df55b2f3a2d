"""Random crops of speech from folders of recordings, as a pure function of (seed, step, item)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from audiodec.arrays import Samples
from audiodec.audio_files.folder import list_folder
from audiodec.audio_files.reading import describe_audio, open_audio
from audiodec.errors import AudioError, ConfigError
from audiodec.prepare.manifest import read_manifest
from audiodec.prepare.mixing import Mixer
from audiodec.training.perturbation import draw, lowpass
from audiodec.training.recipe import Data, Source

TRUSTED_BANDWIDTH_SHARE = 0.93  # of a source's; filters before its edge leave that intact
MIN_RMS = 1e-3  # rms (-60 dBFS) below which a crop teaches nothing
MAX_CLIPPED_SHARE = 1e-3  # of samples at full scale, above which a crop is dropped
MARGIN_S = 0.01  # seconds that a clip must be longer than the stretch it gives
MAX_CROPS_TRIED = 100  # crops looked at before a source is called unusable


@dataclass
class Clip:
    """One recording: where it is, its rate in Hz, its length in samples, its noisy version, who
    speaks, and Hz up to which it holds real sound."""

    path: Path
    rate: int
    length: int
    noisy: Path | None = None
    speaker: str = ""
    bandwidth: float = math.inf


@dataclass
class Batch:
    """What one training step gets.

    Attributes:
        input: what the encoder hears, [batch, channels, samples], float32 in [-1, 1].
        target: what the decoder should say; the same unless a recipe denoises.
        bandwidth: Hz up to which each item holds real content, [batch].
    """

    input: Tensor
    target: Tensor
    bandwidth: Tensor


def find_clips(
    source: Source, shortest: float, channels: int = 1, remarks: list[str] | None = None
) -> list[Clip]:
    """Find recordings of a source that hold at least `shortest` seconds and `channels` channels.

    Args:
        remarks: takes a line for every file of a folder with which something is wrong.

    Raises:
        ConfigError: the folder or manifest is missing or holds none.
        AudioError: a recording cannot be read.
    """
    path = Path(source.path)
    if path.is_dir():
        found = _folder(path, [] if remarks is None else remarks)
    elif path.suffix == ".csv" and path.is_file():
        found = _manifest(path)
    else:
        raise ConfigError(f"source {path} is neither a folder nor a manifest (.csv)")
    try:
        held_out = re.compile(source.exclude) if source.exclude else None
    except re.error as error:
        raise ConfigError(f"source {path}: exclude is no regular expression: {error}") from None
    clips = [
        replace(clip, bandwidth=min(source.bandwidth, clip.bandwidth, clip.rate / 2))
        for clip, own_channels in found
        if clip.length >= shortest * clip.rate
        and own_channels >= channels
        and not (held_out and held_out.search(clip.path.name))
    ]
    if not clips:
        raise ConfigError(
            f"source {path} has no recording of {shortest:g} s or more"
            + (f" with {channels} channels" if channels > 1 else "")
        )
    return clips


def _folder(folder: Path, remarks: list[str]) -> Iterator[tuple[Clip, int]]:
    """Clips of a folder, and their channels; what is wrong with files becomes a remark."""
    listing = list_folder(folder)
    remarks += (f"left out: {line}" for line in listing.left_out)
    for path in listing.files:
        try:
            facts = describe_audio(str(path))
        except AudioError as error:
            raise AudioError(f"{error}; remove or repair it") from None
        remarks += (f"warning: {line}" for line in facts.warnings)
        yield Clip(path, facts.rate, facts.samples), facts.channels


def _manifest(path: Path) -> Iterator[tuple[Clip, int]]:
    """Clips of a manifest's training split, and their channels; no file is opened."""
    for row in read_manifest(path):
        if row.split == "train":
            noisy = path.parent / row.noisy if row.noisy else None
            clip = Clip(
                path.parent / row.path, row.rate, row.frames, noisy, row.speaker, row.bandwidth_hz
            )
            yield clip, row.channels


@dataclass
class Pool:
    """What a source gives: its clips, and how often each is drawn; the weight is the source's."""

    name: str
    weight: float
    clips: list[Clip]
    shares: NDArray[np.float64]


def shares(clips: list[Clip]) -> NDArray[np.float64]:
    """Compute how often each clip is drawn: every speaker equally, and within one by length."""
    seconds = np.array([clip.length / clip.rate for clip in clips])
    _, who = np.unique([clip.speaker for clip in clips], return_inverse=True)
    total = np.bincount(who, seconds)
    return seconds / total[who] / len(total)


class Crops(Dataset[Batch]):
    """`crops[step]` is the batch of that step, whatever came before: resuming is exact.

    Args:
        data: the recipe's data settings.
        sample_rate: Hz of the crops; sources are resampled.
        hop: crops are whole frames of this many samples.
        seed: of the run.
        channels: of the crops; with one, a random channel of each recording.
        share: (which, of how many) processes: each makes its own items of the global batch.
        min_bandwidth: Hz; only recordings that hold sound up to there are drawn.

    Attributes:
        remarks: what is wrong with files of the sources, a line each.

    Raises:
        ConfigError: a source holds nothing usable, or none reaches `min_bandwidth`.
    """

    def __init__(
        self,
        data: Data,
        sample_rate: int,
        hop: int,
        seed: int,
        channels: int = 1,
        share: tuple[int, int] = (0, 1),
        min_bandwidth: float = 0,
    ) -> None:
        self.data, self.rate, self.seed, self.channels = data, sample_rate, seed, channels
        self.share = share
        self.samples = max(1, round(data.crop * sample_rate / hop)) * hop
        fastest = max(1.0, *data.speed) if data.speed_probability else 1.0
        reach = fastest * self.samples / sample_rate + MARGIN_S
        self.pools, self.remarks = [], list[str]()
        for source in data.sources:
            clips = find_clips(source, reach, channels, self.remarks)
            clips = [clip for clip in clips if clip.bandwidth >= min_bandwidth]
            if clips:
                self.pools.append(Pool(str(source.path), source.weight, clips, shares(clips)))
        if not self.pools:
            raise ConfigError(f"no recording of any source reaches {min_bandwidth:g} Hz")
        weights = np.array([pool.weight for pool in self.pools])
        self.pool_share = weights / weights.sum()
        self.mixer = None
        if data.noise or data.rooms:
            noise, rooms = [Path(n) for n in data.noise], Path(data.rooms) if data.rooms else None
            self.mixer = Mixer.of(sample_rate, noise, rooms, data.snr, data.room_probability)

    @property
    def seconds(self) -> float:
        """Audio in one step of all processes."""
        return self.data.batch * self.share[1] * self.samples / self.rate

    def __getitem__(self, step: int) -> Batch:
        rank, _ = self.share
        first = rank * self.data.batch
        return self.items(step, range(first, first + self.data.batch))

    def items(self, step: int, numbers: range) -> Batch:
        """Draw the items of the global batch of a step."""
        made = [self._crop(np.random.default_rng([self.seed, step, n])) for n in numbers]
        heard, said = (torch.from_numpy(np.stack([m[i] for m in made])) for i in (0, 1))
        return Batch(heard, said, torch.tensor([m[2] for m in made]))

    def _crop(self, random: np.random.Generator) -> tuple[Samples, Samples, float]:
        """Input and target [channels, samples], and the bandwidth in Hz."""
        pool = self.pools[int(random.choice(len(self.pools), p=self.pool_share))]
        for _ in range(MAX_CROPS_TRIED):
            clip = pool.clips[int(random.choice(len(pool.clips), p=pool.shares))]
            speed = 1.0
            if random.random() < self.data.speed_probability:
                speed = float(np.exp(random.uniform(*np.log(self.data.speed))))
            target, heard = self._read(clip, speed, random)
            loud = np.sqrt(np.mean(target**2)) >= MIN_RMS
            if loud and np.mean(np.abs(target) >= 0.999) <= MAX_CLIPPED_SHARE:
                bandwidth = self._bandwidth(clip, speed)
                perturb, bandwidth = draw(self.data.perturbation, self.rate, bandwidth, random)
                same = heard is target
                target = perturb(target)
                heard = target if same else perturb(heard)
                if random.random() < self.data.lowpass_probability:
                    cutoff = float(np.exp(random.uniform(*np.log(self.data.lowpass))))
                    cutoff = min(cutoff, bandwidth)
                    target, heard = (lowpass(x, cutoff, self.rate) for x in (target, heard))
                    bandwidth = self.rate / 2  # now it is known what lies above: nothing
                if self.mixer is not None:
                    heard = self.mixer(heard, random)
                gain = 10 ** (random.uniform(*self.data.gain) / 20)
                gain = min(gain, 0.99 / max(np.abs(target).max(), np.abs(heard).max()))
                return heard * np.float32(gain), target * np.float32(gain), bandwidth
        raise AudioError(f"{pool.name}: {MAX_CROPS_TRIED} crops in a row were silent or clipped")

    def _read(
        self, clip: Clip, speed: float, random: np.random.Generator
    ) -> tuple[Samples, Samples]:
        """Read a crop and its noisy version (or itself), played `speed` times as fast: pitch and
        formants move together."""
        ratio = speed * clip.rate / self.rate
        spare = int(0.5 * MARGIN_S * clip.rate)  # resamplers swallow some samples at the end
        length = int(np.ceil(self.samples * ratio)) + (spare if ratio != 1 else 0)
        start = int(random.integers(clip.length - length + 1))
        pick = random.random()
        crops = []
        for path in (clip.path, clip.noisy):
            if path is None:
                continue
            with open_audio(str(path)) as audio:
                audio.seek(start)
                samples = audio.read(length).T
            if self.channels == 1:
                samples = samples[[int(pick * len(samples))]]
            samples = samples[: self.channels]
            if ratio != 1:
                samples = soxr.resample(samples.T, clip.rate * speed, self.rate, quality="MQ").T
            out = np.zeros((self.channels, self.samples), np.float32)
            out[:, : samples.shape[1]] = samples[:, : self.samples]
            crops.append(out)
        return crops[0], crops[-1]

    def _bandwidth(self, clip: Clip, speed: float) -> float:
        nyquist = self.rate / 2
        edge = clip.bandwidth * speed
        return nyquist if edge >= nyquist else TRUSTED_BANDWIDTH_SHARE * edge
