"""Codecs for tests, in a module that worker processes import quickly (conftest needs torch)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audiodec.arrays import Samples
from audiodec.evaluation.codecs import Live


@dataclass(frozen=True)
class CountedSpec:
    """A codec of a given number of bits a sample that notes every clip it codes."""

    log: Path
    bits: int

    def create(self) -> Counted:
        return Counted(self.log, self.bits)


class Counted:
    family, sample_rate, latency_ms, streaming = "PCM", 16000, 10.0, True

    def __init__(self, log: Path, bits: int) -> None:
        self.log, self.bits = log, bits
        self.name, self.kbps = f"PCM {bits} bits", bits * 16.0

    def encode(self, samples: Samples) -> list[bytes]:
        with self.log.open("a") as log:
            log.write("x")
        return [np.rint(samples * 2 ** (self.bits - 1)).astype(np.int8).tobytes()]

    def decode(self, packets: list[bytes]) -> Samples:
        codes = np.frombuffer(b"".join(packets), np.int8)
        return (codes / 2 ** (self.bits - 1)).astype(np.float32)


@dataclass(frozen=True)
class FramesSpec:
    """A codec of single frames."""

    def create(self) -> Frames:
        return Frames()


class Frames(Live):
    """Floats that come 5 ms late."""

    name = family = "frames"
    sample_rate, frame, delay, kbps, latency_ms, streaming = 8000, 160, 40, 256.0, 25.0, True

    @contextmanager
    def encoder(self) -> Iterator[Callable[[Samples], bytes]]:
        held = np.zeros(self.delay, np.float32)

        def encode(frame: Samples) -> bytes:
            nonlocal held
            late, held = np.concatenate([held, frame[: -self.delay]]), frame[-self.delay :]
            return late.tobytes()

        yield encode

    @contextmanager
    def decoder(self) -> Iterator[Callable[[bytes], Samples]]:
        yield lambda packet: np.frombuffer(packet, np.float32)


@dataclass(frozen=True)
class DeadlySpec:
    """A codec that takes its process along."""

    def create(self) -> Deadly:
        return Deadly()


class Deadly:
    name = family = "deadly"
    sample_rate, kbps, latency_ms, streaming = 16000, 1.0, 1.0, True

    def encode(self, samples: Samples) -> list[bytes]:
        os._exit(9)

    def decode(self, packets: list[bytes]) -> Samples:
        raise NotImplementedError
