"""The training loop: stages, steps, validation, checkpoints, and going on after a kill."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch.utils.data import DataLoader

from audiodec.ending import OrderlyEnd
from audiodec.errors import ConfigError
from audiodec.nn.hifigan import HifiganDecoder
from audiodec.nn.network import Network
from audiodec.training import checkpoint
from audiodec.training.data import Batch
from audiodec.training.device import Hardware, resolve_precision
from audiodec.training.init import initialise, with_weight_norm
from audiodec.training.monitor import Monitor
from audiodec.training.parallel import mean_over_processes, world
from audiodec.training.phase import Phase
from audiodec.training.recipe import Recipe
from audiodec.training.recipe_file import load_recipe, save_recipe
from audiodec.training.statistics import set_statistics
from audiodec.training.step import codebook_learner
from audiodec.training.validation import Validator

ONE_DEVICE = Hardware()
MAX_WORKERS = 8  # loader processes of one training process


class Trainer:
    """Runs a recipe in a run folder, which holds `recipe.yaml`, `last.ckpt` and TensorBoard logs.

    Step n depends only on the recipe and on the state after step n - 1, so a resumed run equals
    an uninterrupted one. Every stage has a fresh optimiser. `start` and `resume` make one.

    Args:
        recipe: What to learn, from what and how.
        run: The run folder.
        hardware: What to compute on; one device, the best there is, if not given.

    Raises:
        ConfigError: This machine has no such accelerator.
    """

    def __init__(self, recipe: Recipe, run: Path, hardware: Hardware = ONE_DEVICE) -> None:
        self.recipe, self.run = recipe, run
        device = hardware.device()
        self.precision = resolve_precision(hardware.precision or recipe.precision, device)
        strategy = "ddp" if hardware.devices * hardware.nodes > 1 else "auto"
        self.fabric = Fabric(
            accelerator=device.type, devices=hardware.devices, num_nodes=hardware.nodes,
            strategy=strategy, precision=self.precision,
        )  # fmt: skip
        self.fabric.launch()
        torch.manual_seed(recipe.seed)
        self.network = Network(recipe.codec)
        self.learner = codebook_learner(self.network, recipe.quantization)
        self.started = False
        self.step = 0
        self.saved: dict[str, Any] | None = None  # state of the phase to go on with
        self.validator = Validator(recipe.validation, recipe.codec)
        self.stopping = False
        self.note: str | None = None  # said when training begins

    @classmethod
    def start(cls, recipe: Recipe, run: Path, hardware: Hardware = ONE_DEVICE) -> Trainer:
        """Start a new run in an empty folder.

        Args:
            recipe, run, hardware: Like those of `Trainer`.

        Raises:
            ConfigError: The folder already holds a run, or `init` fits no part of the network.
            ModelError: `init` is no model.
        """
        # Before other processes start, or one of them might meet what the first has written.
        if (run / "recipe.yaml").exists():
            raise ConfigError(f"{run} already holds a run: use --resume {run} or another folder")
        trainer = cls(recipe, run, hardware)
        trainer._begin()
        if world()[0] == 0:
            run.mkdir(parents=True, exist_ok=True)
            save_recipe(recipe, run / "recipe.yaml")
        return trainer

    @classmethod
    def resume(cls, run: Path, hardware: Hardware = ONE_DEVICE) -> Trainer:
        """Go on where the run's last checkpoint was written, on any kind and number of devices.

        Args:
            run: The run folder.
            hardware: Like that of `Trainer`.

        Raises:
            ConfigError: The folder holds no run.
            ModelError: Its checkpoint is damaged.
        """
        if not (run / "recipe.yaml").is_file():
            raise ConfigError(f"{run} is not a run: it has no recipe.yaml")
        trainer = cls(load_recipe(run / "recipe.yaml"), run, hardware)
        if not (run / checkpoint.LAST).is_file():  # killed before the first one was written
            trainer._begin()
            return trainer
        state = checkpoint.load(run)
        with_weight_norm(trainer.network)
        trainer.step, trainer.started = state["step"], state["started"]
        checkpoint.take_over(trainer.network, state["codec"], run)
        checkpoint.take_over(trainer.learner, state["learner"], run)
        trainer.saved = state["phase"]
        return trainer

    def _begin(self) -> None:
        """Save the state before the first step."""
        taken: list[str] = []
        if self.recipe.init is not None:
            taken = initialise(self.network, self.recipe)
            self.note = f"init: {' and '.join(taken)} of {self.recipe.init} taken over"
        if "encoder" in taken:
            self.learner.go_on()
            self.started = True
        with_weight_norm(self.network)
        vocoder = isinstance(self.network.decoder, HifiganDecoder)
        if vocoder and ("decoder" not in taken or self.recipe.statistics is not None):
            set_statistics(self.network, self.recipe)

    def fit(self, until: int | None = None) -> None:
        """Train to the last step, saving and validating on the way.

        Told to end (see `audiodec.ending`), it does after the current step, with a checkpoint.

        Args:
            until: The step to stop at; the recipe's last if not given.
        """
        last = min(until or self.recipe.steps, self.recipe.steps)
        ends = list(itertools.accumulate(stage.steps for stage in self.recipe.stages))
        with OrderlyEnd(self._stop), Monitor(self.run, self.recipe, self.step) as monitor:
            if self.note is not None:
                monitor.say(self.note)
            for stage, end in zip(self.recipe.stages, ends, strict=True):
                if self.step >= min(end, last) or self.stopping:
                    continue
                phase = Phase(
                    self.fabric, self.recipe, stage, self.network, self.learner,
                    first=end - stage.steps, started=self.started,
                )  # fmt: skip
                if self.saved is not None and self.saved["stage"] == stage.name:
                    phase.load_state(self.saved)
                self._run_phase(phase, min(end, last), monitor)
            if self.stopping:
                monitor.say(f"stopped at step {self.step}; audiodec train --resume {self.run}")

    def _run_phase(self, phase: Phase, end: int, monitor: Monitor) -> None:
        """Take the steps of one phase up to step `end`."""
        for remark in phase.crops.remarks:
            monitor.say(remark)
        monitor.enter_phase(phase.stage.name, phase.crops.seconds)
        saved = validated = time.monotonic()
        for batch in self.batches(phase, end):
            values, perplexity = phase.train(batch, self.step)
            self.step += 1
            monitor.log(self.step, values, perplexity)
            now, over = time.monotonic(), self.step == end
            if now - validated > 60 * self.recipe.validation.every or over:
                if world()[0] == 0:
                    phase.module.eval()
                    monitor.validation(self.step, self.validator.run(self.network, phase.started))
                    phase.module.train()
                validated = time.monotonic()
            stopping = torch.tensor(float(self.stopping), device=self.fabric.device)
            self.stopping = bool(mean_over_processes(stopping) > 0)
            if now - saved > 60 * self.recipe.checkpoint_every or over or self.stopping:
                self._save(phase)
                monitor.flush()
                saved = time.monotonic()
            if self.stopping:
                break
        self.started = phase.started

    def _save(self, phase: Phase) -> None:
        if world()[0] == 0:
            state = {
                "step": self.step,
                "started": phase.started,
                "codec": self.network.state_dict(),
                "learner": self.learner.state_dict(),
                "phase": phase.state(),
            }
            checkpoint.save(state, self.run)

    def batches(self, phase: Phase, end: int) -> Iterator[Batch]:
        """Load the batches of a stage from the present step on, on the device.

        Args:
            phase: The run of the stage.
            end: The step before which to end.
        """
        loader = DataLoader(
            phase.crops,
            batch_size=None,
            sampler=range(self.step, end),
            num_workers=self._workers(),
            pin_memory=self.fabric.device.type == "cuda",
        )
        yield from self.fabric.setup_dataloaders(loader, use_distributed_sampler=False)

    def _workers(self) -> int:
        """Loader processes: as the recipe says, else as many as keep a fast device busy."""
        if self.recipe.data.workers is not None:
            return self.recipe.data.workers
        cores = os.cpu_count() or 1
        return 0 if self.fabric.device.type == "cpu" else min(MAX_WORKERS, cores - 1)

    def _stop(self) -> None:
        self.stopping = True
