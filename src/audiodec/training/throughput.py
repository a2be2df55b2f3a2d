"""How fast a recipe trains on this machine."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path

from audiodec.training.device import Hardware
from audiodec.training.phase import Phase
from audiodec.training.recipe import Recipe, Source, Validation
from audiodec.training.trainer import Trainer

WARM_UP_STEPS = 3


@dataclass(frozen=True)
class Throughput:
    """Seconds of audio that a stage trains on in a second, data loading included."""

    stage: str
    device: str
    precision: str
    audio_seconds_per_second: float


def measure_throughput(
    recipe: Recipe, hardware: Hardware, recordings: Path, steps: int
) -> list[Throughput]:
    """Time every stage of a recipe from random weights.

    Args:
        recordings: folder to draw from in place of the recipe's sources.
        steps: timed, after three that are not.

    Raises:
        ConfigError: this machine has no such accelerator.
    """
    source = Source(path=str(recordings))
    data = dataclasses.replace(recipe.data, sources=(source,), noise=(), rooms=None)
    recipe = dataclasses.replace(recipe, data=data, init=None, validation=Validation())
    trainer = Trainer(recipe, Path(), hardware)
    found = []
    for stage in recipe.stages:
        phase = Phase(
            trainer.fabric, recipe, stage, trainer.network, trainer.learner, first=0, started=True
        )
        for number, batch in enumerate(trainer.batches(phase, WARM_UP_STEPS + steps)):
            if number == WARM_UP_STEPS:
                begin = time.perf_counter()
            phase.train(batch, number)
        seconds = steps * phase.crops.seconds / (time.perf_counter() - begin)
        device, precision = trainer.fabric.device.type, trainer.precision
        found.append(Throughput(stage.name, device, precision, seconds))
    return found
