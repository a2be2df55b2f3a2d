"""How fast codecs are and what they take: side by side in one run, one thread each."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from safetensors import SafetensorError, safe_open

from audiodec.arrays import Samples
from audiodec.errors import ModelError
from audiodec.evaluation.codecs import RATE, Live, Peer, Spec, code
from audiodec.evaluation.codecs.base import resampled
from audiodec.pretrained import WEIGHTS

Given = TypeVar("Given")
Made = TypeVar("Made")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Spread:
    """Median and 95th percentile over the rounds."""

    median: float
    p95: float


@dataclass(frozen=True)
class Speed:
    """One codec. What cannot be told is None.

    Attributes:
        kbps: nominal.
        latency_ms: algorithmic; None where it needs the whole signal.
        encode_rtf, decode_rtf: processing time / duration of the clip, which a codec gets as a
            whole and may code in whatever pieces are quickest.
        encode_ms, decode_ms: 99th percentile of the time for one packet of a live stream, its
            length in `packet_ms`; None where the codec or its binding takes whole clips only.
        memory_mb: peak of a process that imports, loads, encodes and decodes; Linux only.
    """

    codec: str
    kbps: float
    latency_ms: float | None
    encode_rtf: Spread
    decode_rtf: Spread
    packet_ms: float | None
    encode_ms: float | None
    decode_ms: float | None
    memory_mb: float | None


@dataclass(frozen=True)
class _Round:
    """Seconds for the clip, and for each packet."""

    encode: float
    decode: float
    encode_packets: list[float]
    decode_packets: list[float]


class Race:
    """Codecs take turns on one clip, so that they meet the same state of the machine.

    Args:
        samples: the clip, [n] at 48 kHz.
        rounds: after one that is not counted.
    """

    def __init__(self, specs: Sequence[Spec], samples: Samples, rounds: int) -> None:
        self.specs, self.samples, self.rounds = specs, samples, rounds
        self.peers = [spec.create() for spec in specs]
        self.steps = len(specs) * (rounds + 2)

    def run(self) -> Iterator[Speed | None]:
        """Measure: yields None `steps` times as work is done, then a row for each codec.

        Raises:
            AudioDecError: a codec fails.
        """
        times: list[list[_Round]] = [[] for _ in self.specs]
        with _process(self.specs, self.samples) as process:
            for _ in range(self.rounds + 1):
                for i, own in enumerate(times):
                    own.append(process.submit(_take_turn, i).result())
                    yield None
        memory = []
        for spec in self.specs:
            with _process([spec], self.samples) as process:
                memory.append(process.submit(_peak_memory).result())
            yield None
        for peer, own, peak in zip(self.peers, times, memory, strict=True):
            yield self._row(peer, own[1:], peak)

    def _row(self, peer: Peer, rounds: list[_Round], memory: float | None) -> Speed:
        seconds = len(self.samples) / RATE
        return Speed(
            peer.name,
            peer.kbps,
            peer.latency_ms if np.isfinite(peer.latency_ms) else None,
            _spread([r.encode / seconds for r in rounds]),
            _spread([r.decode / seconds for r in rounds]),
            1000 * peer.frame / peer.sample_rate if isinstance(peer, Live) else None,
            _p99_ms([t for r in rounds for t in r.encode_packets]),
            _p99_ms([t for r in rounds for t in r.decode_packets]),
            memory,
        )


def _spread(values: Sequence[float]) -> Spread:
    median, p95 = np.percentile(values, (50, 95))
    return Spread(float(median), float(p95))


def _p99_ms(seconds: Sequence[float]) -> float | None:
    return 1000 * float(np.percentile(seconds, 99)) if seconds else None


@contextmanager
def _process(specs: Sequence[Spec], samples: Samples) -> Iterator[ProcessPoolExecutor]:
    """Start a fresh process with these codecs, whose libraries see that they may use one thread."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ |= ONE_THREAD
    spawn = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(1, spawn, _start, (specs, samples)) as pool:
            pool.submit(int).result()  # it has started, and read the environment
            yield pool
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


_codecs: list[Peer] = []  # of that process: codecs cannot be sent, only made there
_clip: list[Samples] = []


def _start(specs: Sequence[Spec], samples: Samples) -> None:
    _codecs.extend(spec.create() for spec in specs)
    _clip.append(samples)


def _take_turn(number: int) -> _Round:
    peer = _codecs[number]
    given = resampled(_clip[0], RATE, peer.sample_rate)
    begin = time.perf_counter()
    packets = peer.encode(given)
    encoded = time.perf_counter()
    peer.decode(packets)
    decoded = time.perf_counter()
    packet_times = _stream(peer, given) if isinstance(peer, Live) else ([], [])
    return _Round(encoded - begin, decoded - encoded, *packet_times)


def _stream(codec: Live, samples: Samples) -> tuple[list[float], list[float]]:
    """Seconds for each packet of a live stream, encoder and decoder apart."""
    whole = len(samples) // codec.frame * codec.frame
    with codec.encoder() as encoder:
        packets, encode = _timed(encoder, samples[:whole].reshape(-1, codec.frame))
    with codec.decoder() as decoder:
        _, decode = _timed(decoder, packets)
    return encode, decode


def _timed(
    step: Callable[[Given], Made], values: Iterable[Given]
) -> tuple[list[Made], list[float]]:
    """Take a step for each value, and give what it made and the seconds that it took."""
    made, seconds = [], []
    for value in values:
        begin = time.perf_counter()
        made.append(step(value))
        seconds.append(time.perf_counter() - begin)
    return made, seconds


def _peak_memory() -> float | None:
    """MB. `getrusage` would count what the parent held when it started this process."""
    code(_codecs[0], _clip[0])
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(kilobytes) / 1000


def model_size(folder: Path) -> tuple[float, int]:
    """Measure MB of a model's files, and its number of parameters, buffers included.

    Raises:
        ModelError: it holds no weights that can be read.
    """
    try:
        with safe_open(folder / WEIGHTS, "numpy") as file:
            shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
        size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{folder} cannot be read: {error}") from None
    return size / 1e6, sum(int(np.prod(shape)) for shape in shapes)
