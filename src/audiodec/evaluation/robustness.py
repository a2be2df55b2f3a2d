"""What a codec makes of difficult input, and whether it keeps its promises there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audiodec.arrays import Samples
from audiodec.codec import Codec
from audiodec.errors import ConfigError
from audiodec.evaluation.conditions import Condition
from audiodec.evaluation.metrics import score

METRICS = ("PESQ-WB", "ESTOI", "mel distance")
LOWEST_DBFS = -160.0  # dBFS: what counts for less, and for nothing at all
# Promises:
MAX_SILENCE_DBFS = -90.0  # dBFS at most where silence went in: a step of 16 bits
MAX_LOUDER_DB = 1.0  # dB at most, by RMS
MAX_QUIETER_DB = 6.0  # dB at most, likewise
MAX_OFFSET = 0.01  # of full scale that the mean may move away from 0


@dataclass(frozen=True)
class Heard:
    """Clips in one condition through the codec.

    Attributes:
        clips: how many.
        level_in, level_out: RMS about the mean, in dBFS: an offset is not heard. Means over clips.
        peak: the highest of any clip's output, dBFS.
        scores: mean by metric, against what went in; None where no clip can be scored.
        broken: promises that were not kept for a clip or more, in words.
    """

    condition: str
    clips: int
    level_in: float
    level_out: float
    peak: float
    scores: Mapping[str, float | None]
    broken: tuple[str, ...]


def measure(
    codec: Codec, clips: Sequence[Samples], conditions: Mapping[str, Condition]
) -> Iterator[Heard]:
    """Measure every clip in every condition at the codec's highest rate, condition by condition.

    A clip meets the same random numbers whatever the condition and whatever else is measured.

    Args:
        clips: [samples] at the codec's sample rate.

    Raises:
        ConfigError: a model of several channels.
        MissingExtraError: a package is not installed.
    """
    if codec.channels != 1:
        raise ConfigError(f"model {codec.info.id} takes {codec.channels} channels, not one")
    for name, condition in conditions.items():
        for seed, clip in enumerate(clips):
            given = condition(clip, codec.sample_rate, np.random.default_rng(seed))
            made = codec.decode(codec.encode(given), len(given))
            broken = tuple(broken_promises(given, made))
            scores = score(given, made, codec.sample_rate, METRICS)
            peak = decibels(float(np.abs(made).max()))
            yield Heard(name, 1, level(given), level(made), peak, scores, broken)


def broken_promises(given: Samples, made: Samples) -> Iterator[str]:
    """List what a codec must not do to any input [samples], in words; nothing if it did not."""
    if not np.isfinite(made).all():
        yield "not finite"
        return
    if np.abs(made).max() > 1:
        yield "above full scale"
    if abs(float(made.mean())) > abs(float(given.mean())) + MAX_OFFSET:
        yield "DC grows"
    if not given.any():
        if level(made) > MAX_SILENCE_DBFS:
            yield "silence sounds"
    elif level(made) > level(given) + MAX_LOUDER_DB:
        yield "louder"
    elif level(made) < level(given) - MAX_QUIETER_DB:
        yield "quieter"


def summarise(heard: Sequence[Heard]) -> list[Heard]:
    """Join all clips of a condition, in the order the conditions come."""
    rows = []
    for name in dict.fromkeys(h.condition for h in heard):
        own = [h for h in heard if h.condition == name]
        means: dict[str, float | None] = {}
        for metric in METRICS:
            values = [v for h in own if (v := h.scores[metric]) is not None]
            means[metric] = float(np.mean(values)) if values else None
        rows.append(
            Heard(
                name, len(own),
                float(np.mean([h.level_in for h in own])),
                float(np.mean([h.level_out for h in own])),
                max(h.peak for h in own),
                means,
                tuple(dict.fromkeys(promise for h in own for promise in h.broken)),
            )
        )  # fmt: skip
    return rows


def level(samples: Samples) -> float:
    """Measure the RMS of [samples] about their mean, in dBFS."""
    return decibels(float(np.std(samples, dtype=np.float64)))


def decibels(amplitude: float) -> float:
    """Turn a power into decibels of full scale, from LOWEST_DBFS on."""
    return max(LOWEST_DBFS, 20 * float(np.log10(max(amplitude, 1e-30))))
