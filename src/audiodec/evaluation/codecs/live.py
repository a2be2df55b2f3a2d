"""Codecs that code live: a frame in, a packet out; a whole clip is coded by just that."""

from __future__ import annotations

import abc
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np

from audiodec.arrays import Samples


class Live(abc.ABC):
    """A codec that is given one frame at a time; `encode` and `decode` of a peer are made of that.

    Attributes:
        sample_rate: Hz it works at.
        frame: Samples of a packet.
        delay: Samples by which what is decoded comes late.
    """

    sample_rate: int
    frame: int
    delay: int = 0

    @abc.abstractmethod
    def encoder(self) -> AbstractContextManager[Callable[[Samples], bytes]]:
        """Open a fresh stream: [frame] float32 in [-1, 1] -> its packet."""

    @abc.abstractmethod
    def decoder(self) -> AbstractContextManager[Callable[[bytes], Samples]]:
        """Open a fresh stream: a packet -> [frame] float32, late by `delay`."""

    def encode(self, samples: Samples) -> list[bytes]:
        """Code a whole signal as packets.

        Args:
            samples: Sound in [-1, 1], float32, [n], at `sample_rate`.
        """
        with self.encoder() as encode:
            return [encode(frame) for frame in frames_of(samples, self.frame, self.delay)]

    def decode(self, packets: list[bytes]) -> Samples:
        """Decode the packets of a whole signal.

        Args:
            packets: What `encode` gave.

        Returns:
            Sound, float32, [n or more], the delay removed.
        """
        with self.decoder() as decode:
            decoded = [decode(packet) for packet in packets]
        return np.concatenate([np.zeros(0, np.float32), *decoded])[self.delay :]


def frames_of(samples: Samples, size: int, delay: int) -> Samples:
    """Cut [n] into [frames, size], with silence behind so that all n outlast the delay."""
    count = -(-(len(samples) + delay) // size)
    padded = np.zeros(count * size, np.float32)
    padded[: len(samples)] = samples
    return padded.reshape(count, size)
