"""What a codec is to the benchmark, how it is registered, and one clip through one."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import soxr

from audiodec.arrays import Samples
from audiodec.errors import AudioDecError

RATE = 48000  # Hz at which every codec gets and gives audio here
MAX_RATE_DIFFERENCE = 0.1  # a rate asked for means the nearest one offered, if at most this far off


class MissingCodecError(AudioDecError):
    """A codec cannot run here; the message says how to get it."""


class Peer(Protocol):
    """One codec at one setting. `encode` and `decode` each begin a fresh stream.

    Attributes:
        name: Unique in a report and with the version, e.g. "Opus 1.6.1 fullband 12".
        family: The rate-quality curve it belongs to, e.g. "Opus 1.6.1 fullband".
        kbps: Nominal bitrate.
        sample_rate: Hz it works at.
        latency_ms: Algorithmic: frame plus look-ahead; infinite when it needs the whole signal.
        streaming: Whether it can code live audio.
    """

    name: str
    family: str
    kbps: float
    sample_rate: int
    latency_ms: float
    streaming: bool

    def encode(self, samples: Samples) -> list[bytes]:
        """Code a whole signal as packets, with headers as on the wire.

        Args:
            samples: Sound in [-1, 1], float32, [n], at `sample_rate`.
        """
        ...

    def decode(self, packets: list[bytes]) -> Samples:
        """Decode the packets of a whole signal.

        Args:
            packets: What `encode` gave.

        Returns:
            Sound, float32, [n or more], at `sample_rate`, the codec's delay removed.
        """
        ...


class Spec(Protocol):
    """What makes a peer; it can be pickled and sent to another process."""

    def create(self) -> Peer:
        """Make the codec, ready to run.

        Raises:
            MissingCodecError: It cannot run here.
        """
        ...


@dataclass(frozen=True)
class RateSpec:
    """A peer of which only the rate is to be chosen.

    Attributes:
        make: kbps -> peer; a class or function of a module, so that it can be pickled.
    """

    make: Callable[[float], Peer]
    kbps: float

    def create(self) -> Peer:
        return self.make(self.kbps)


@dataclass(frozen=True)
class Family:
    """What is registered under a name: one codec at all its rates.

    Attributes:
        make: Makes the `Peer` of a bitrate in kbps; a class or function of a module, so that it
            can be pickled.
        rates: Nominal kbps, ascending.
        continuous: Whether the rates between the lowest and the highest are offered, too.
        missing: Says None when it can run here, else one line how to get it.
    """

    make: Callable[[float], Peer]
    rates: tuple[float, ...]
    continuous: bool = False
    missing: Callable[[], str | None] = lambda: None

    def specs(self, rates: Sequence[float] | None) -> list[Spec]:
        """Make a spec for each rate asked for that is offered.

        Args:
            rates: kbps; all rates on offer if None.

        Raises:
            MissingCodecError: It cannot run here.
        """
        if reason := self.missing():
            raise MissingCodecError(reason)
        return [RateSpec(self.make, kbps) for kbps in offered(self.rates, rates, self.continuous)]


def offered(
    rates: Sequence[float], wanted: Sequence[float] | None, continuous: bool = False
) -> list[float]:
    """Choose the rates (kbps) that are as wanted, or near: AMR-WB's 12.65 is what 12 gets."""
    if wanted is None:
        return list(rates)
    chosen: dict[float, None] = {}  # an ordered set
    for kbps in wanted:
        nearest = min(rates, key=lambda rate: abs(rate - kbps))
        if continuous and rates[0] <= kbps <= rates[-1]:
            chosen[kbps] = None
        elif abs(nearest - kbps) <= MAX_RATE_DIFFERENCE * kbps:
            chosen[nearest] = None
    return list(chosen)


@dataclass(frozen=True)
class Result:
    """One clip through one codec.

    Attributes:
        audio: The decoded sound, float32, at 48 kHz, delay removed, as long as the input.
        payload_bytes: Bytes of the packets, from which the bitrate is measured.
    """

    audio: Samples
    payload_bytes: int


def code(peer: Peer, samples: Samples) -> Result:
    """Code and decode one clip.

    Args:
        peer: The codec.
        samples: Sound in [-1, 1], float32, [n], at 48 kHz.

    Raises:
        AudioDecError: The codec returns less audio than it was given.
    """
    given = resampled(samples, RATE, peer.sample_rate)
    packets = peer.encode(given)
    decoded = peer.decode(packets)
    if len(decoded) < len(given):
        raise AudioDecError(
            f"{peer.name} decodes {len(given)} samples to {len(decoded)}: it must return them all"
        )
    # The last packet is filled up with silence: a long stream would not pay for that.
    size = round(sum(map(len, packets)) * len(given) / max(1, len(decoded)))
    audio = resampled(decoded, peer.sample_rate, RATE)[: len(samples)]
    audio = np.pad(audio, (0, len(samples) - len(audio)))  # resampling may round down
    return Result(audio, size)


def resampled(samples: Samples, rate: int, to: int) -> Samples:
    """Resample [samples] from `rate` to `to` Hz; the same ones where these are equal."""
    return samples if rate == to else np.asarray(soxr.resample(samples, rate, to), np.float32)


def frames_of_whole_bytes(bits: int) -> int:
    """Count the fewest frames of so many bits that fill whole bytes."""
    return 8 // math.gcd(8, bits)


def home(name: str) -> Path:
    """Find where a user puts the files of a peer that no package brings: $AUDIODEC_PEERS/name,
    ~/.cache/audiodec/peers/name by default."""
    base = os.environ.get("AUDIODEC_PEERS") or "~/.cache/audiodec/peers"
    return Path(base).expanduser() / name
