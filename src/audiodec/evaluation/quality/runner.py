"""Codecs x clips in parallel processes. What is in the store is not done again."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path

import numpy as np

import audiodec
from audiodec.arrays import Samples
from audiodec.audio_files.writing import create_audio, write_audio, write_whole
from audiodec.errors import AudioDecError, ConfigError
from audiodec.evaluation.codecs import RATE, Ours, Peer, Spec, code
from audiodec.evaluation.metrics import ALL_METRICS, METRICS, align, score
from audiodec.evaluation.quality.clips import Clip, read_clip
from audiodec.evaluation.quality.scores import Score
from audiodec.evaluation.quality.store import Store

ORIGINAL = "original"  # name of the recording itself among the sounds kept
KBPS, LAG = "kbps", "lag"  # are stored as metrics are


@dataclass(frozen=True)
class _Codec:
    """What is known of a codec without keeping it in memory."""

    name: str
    family: str
    nominal: float
    latency_ms: float
    identity: str


@dataclass(frozen=True)
class _Task:
    """One clip through one codec: the metrics to score and where to keep the sound, if asked."""

    spec: Spec
    clip: Clip
    metrics: tuple[str, ...]
    keep: Path | None
    place: tuple[str, str]  # in the store


class Benchmark:
    """Every codec on every clip.

    Args:
        metrics: names; the quick ones by default.
        store: where scores are, and go.
        kept: clips (by name) whose decoded sound is kept as FLAC in `folder`, a folder a clip.

    Raises:
        AudioDecError: a codec cannot be made, or a clip not be read.
        ConfigError: there is no such metric or clip, or two codecs have one name.
    """

    def __init__(
        self, specs: Sequence[Spec], clips: Sequence[Clip], metrics: Sequence[str] = tuple(METRICS),
        store: Store | None = None, kept: Sequence[str] = (), folder: Path | None = None,
    ) -> None:  # fmt: skip
        self.clips, self.metrics = clips, tuple(dict.fromkeys(metrics))
        if unknown := next((name for name in self.metrics if name not in ALL_METRICS), None):
            raise ConfigError(f"no metric {unknown!r}; choose from {', '.join(ALL_METRICS)}")
        self.store = store or Store()
        self.codecs = [_describe(spec.create()) for spec in specs]
        self.digests = [clip.digest() for clip in clips]
        _check_names([c.name for c in self.codecs], [c.name for c in clips], kept)
        self.tasks = []
        # Codec by codec, so that a process holds one at a time.
        for spec, codec in zip(specs, self.codecs, strict=True):
            for clip, digest in zip(clips, self.digests, strict=True):
                place = (digest, codec.identity)
                known = self.store.get(*place)
                missing = tuple(name for name in self.metrics if name not in known)
                keep = None
                if folder is not None and clip.name in kept:
                    keep = folder / file_name(clip.name) / f"{file_name(codec.name)}.flac"
                if missing or (keep and not keep.exists()):
                    self.tasks.append(_Task(spec, clip, missing, keep, place))

    def run(self, jobs: int = 1) -> Iterator[None]:
        """Do the tasks, in `jobs` processes; yields after each, its scores stored.

        Raises:
            AudioDecError: a codec or metric fails, or a process dies.
        """
        if jobs == 1:
            for task, values in zip(self.tasks, map(_work, self.tasks), strict=True):
                self.store.put(*task.place, values)
                yield
            return
        spawn = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(jobs, spawn, _start_worker)
        try:
            for task, values in zip(self.tasks, pool.map(_work, self.tasks), strict=True):
                self.store.put(*task.place, values)
                yield
        except BrokenProcessPool:
            raise AudioDecError(
                "a process died, perhaps for want of memory: run again with fewer --jobs; "
                "what is done is kept with --out"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)

    def scores(self) -> list[Score]:
        """Read all scores that are in the store, clip by clip."""
        found = []
        for clip, digest in zip(self.clips, self.digests, strict=True):
            for codec in self.codecs:
                values = self.store.get(digest, codec.identity)
                if KBPS in values:
                    found.append(_as_score(codec, clip, values, self.metrics))
        return found


def _describe(peer: Peer) -> _Codec:
    weights = json.dumps(peer.codec.info.files, sort_keys=True) if isinstance(peer, Ours) else ""
    about = json.dumps([audiodec.__version__, peer.name, weights])
    identity = hashlib.sha256(about.encode()).hexdigest()
    return _Codec(peer.name, peer.family, peer.kbps, peer.latency_ms, identity)


def _check_names(codecs: Sequence[str], clips: Sequence[str], kept: Sequence[str]) -> None:
    if twice := next((name for name in codecs if codecs.count(name) > 1), None):
        raise ConfigError(f"two codecs are called {twice!r}: leave one out")
    if unknown := next((name for name in kept if name not in clips), None):
        raise ConfigError(f"no clip {unknown!r} to keep: name one without folder and suffix")


def _as_score(
    codec: _Codec, clip: Clip, values: Mapping[str, float | None], metrics: Sequence[str]
) -> Score:
    return Score(
        codec.name, clip.name, float(values[KBPS] or 0), int(values[LAG] or 0),
        {name: values.get(name) for name in metrics},
        codec.family, codec.nominal, codec.latency_ms, clip.labels,
    )  # fmt: skip


def _start_worker() -> None:
    """Let a worker end when its parent does, however that ends, and only then."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, too
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


_current: dict[str, Peer] = {}  # of a process, by identity: codecs cannot be sent to another


def _create(task: _Task) -> Peer:
    """Make the codec of a task; it is kept for the next, in place of the one before."""
    _, identity = task.place
    if identity not in _current:
        _current.clear()
        _current[identity] = task.spec.create()
    return _current[identity]


def _work(task: _Task) -> dict[str, float | None]:
    """Code one clip; returns its scores by metric, with the measured bitrate and the lag."""
    clean = read_clip(task.clip.path)
    heard = clean if task.clip.noisy is None else read_clip(task.clip.noisy)
    result = code(_create(task), heard)
    original, decoded, lag = align(clean, result.audio, RATE)
    values = score(original, decoded, RATE, task.metrics)
    if task.keep is not None:
        _keep_sound(result.audio, task.keep)
        _keep_sound(clean, task.keep.with_name(f"{ORIGINAL}.flac"))
    kbps = result.payload_bytes * 8 * RATE / len(heard) / 1000
    return {**values, KBPS: kbps, LAG: lag}


def file_name(name: str) -> str:
    """Write the name of a clip or codec as that of a file."""
    return "".join(c if c.isalnum() or c in " .-_" else "_" for c in name).lstrip(".")


def _keep_sound(samples: Samples, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_whole(str(path)) as out, create_audio(out, path.name, RATE, 1) as audio:
        write_audio(audio, np.asarray(samples)[None])
