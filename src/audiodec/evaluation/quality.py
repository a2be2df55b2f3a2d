"""Codecs on the same clips in one run: scores by codec, with bootstrap intervals."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from audiodec.errors import AudioError
from audiodec.evaluation.codecs import RATE, Peer, Spec
from audiodec.evaluation.metrics import METRICS, align, score
from audiodec.fileio import AUDIO_SUFFIXES
from audiodec.runtime.base import Samples

DRAWS = 1000  # of the bootstrap


@dataclass(frozen=True)
class Score:
    """One clip through one codec.

    Attributes:
        kbps: measured from packets.
        lag: samples by which the codec was late, beyond its declared delay.
        values: metrics by name, None where the clip is beyond a metric.
    """

    codec: str
    clip: str
    kbps: float
    lag: int
    values: dict[str, float | None]


def find_clips(folders: Sequence[Path]) -> list[Path]:
    """Audio files given or below the folders. Raises AudioError when there are none."""
    clips: list[Path] = []
    for path in folders:
        below = [p for p in sorted(path.rglob("*")) if p.suffix.lower() in AUDIO_SUFFIXES]
        clips += below if path.is_dir() else [path]
    if not clips:
        raise AudioError(f"no audio files in {', '.join(map(str, folders))}")
    return clips


def measure(specs: Sequence[Spec], clips: Sequence[Path], jobs: int = 1) -> Iterator[Score]:
    """Score every codec on every clip, clip by clip.

    Args:
        jobs: processes among which clips are shared.
    """
    codecs = [spec.create() for spec in specs]  # here too, so that mistakes show at once
    if jobs == 1:
        for path in clips:
            yield from _score_clip(codecs, path)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, spawn, _start_worker, (specs,)) as pool:
        for scores in pool.map(_score_in_worker, clips):
            yield from scores


_worker_codecs: list[Peer] = []  # of a worker process: codecs cannot be sent, only made there


def _start_worker(specs: Sequence[Spec]) -> None:
    _worker_codecs.extend(spec.create() for spec in specs)


def _score_in_worker(path: Path) -> list[Score]:
    return list(_score_clip(_worker_codecs, path))


def _score_clip(codecs: Sequence[Peer], path: Path) -> Iterator[Score]:
    samples = read_clip(path)
    for codec in codecs:
        result = codec.run(samples)
        original, decoded, lag = align(samples, result.audio, RATE)
        values = score(original, decoded, RATE)
        kbps = result.payload_bytes * 8 * RATE / len(samples) / 1000
        yield Score(codec.name, path.stem, kbps, lag, values)


@dataclass(frozen=True)
class Mean:
    """Mean and its 95 % bootstrap interval over clips."""

    value: float
    low: float
    high: float


def summarise(scores: Sequence[Score]) -> dict[str, dict[str, Mean]]:
    """Means by codec and metric, `kbps` among them."""
    table: dict[str, dict[str, Mean]] = {}
    for codec in dict.fromkeys(s.codec for s in scores):
        own = [s for s in scores if s.codec == codec]
        table[codec] = {"kbps": _mean([s.kbps for s in own])}
        for metric in METRICS:
            found = [v for s in own if (v := s.values.get(metric)) is not None]
            if found:
                table[codec][metric] = _mean(found)
    return table


def _mean(values: Sequence[float]) -> Mean:
    array = np.asarray(values)
    draws = np.random.default_rng(0).choice(array, (DRAWS, len(array))).mean(axis=1)
    low, high = np.percentile(draws, (2.5, 97.5))
    return Mean(float(array.mean()), float(low), float(high))


def read_clip(path: Path) -> Samples:
    """A clip at 48 kHz, mixed to mono. Raises AudioError when it cannot be read."""
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise AudioError(f"{path} cannot be read: {error}") from None
    return np.asarray(soxr.resample(samples.mean(axis=1), rate, RATE), np.float32)
