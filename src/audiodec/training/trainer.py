"""The training loop: steps, schedule, validation, checkpoints, and going on after a kill."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning_fabric import Fabric
from torch.utils.data import DataLoader

from audiodec.codec.codec import Codec
from audiodec.errors import AudioDecError, ConfigError
from audiodec.pretrained import find_model
from audiodec.runtime.torch import load_codec
from audiodec.training import checkpoint
from audiodec.training.data import Batch, Crops
from audiodec.training.monitor import Monitor
from audiodec.training.recipe import Recipe, load_recipe, save_recipe
from audiodec.training.stage import MetricStage
from audiodec.training.validation import Validator

NORM_MEMORY = 0.99  # of the running gradient norm


class Trainer:
    """Runs a recipe in a run folder, which holds `recipe.yaml`, `last.ckpt` and TensorBoard logs.

    Step n depends only on the recipe and on the state after step n - 1, so a resumed run equals
    an uninterrupted one.
    """

    def __init__(self, recipe: Recipe, run: Path) -> None:
        self.recipe, self.run = recipe, run
        torch.manual_seed(recipe.seed)
        self.fabric = Fabric(accelerator="auto", devices=1, precision=recipe.precision)
        self.codec = Codec(recipe.codec)
        self.step = 0
        self.norm = 1.0
        stage = MetricStage(self.codec, recipe)
        o = recipe.optimizer
        groups = [
            {"params": list(part.parameters())} for part in (self.codec.encoder, self.codec.decoder)
        ]
        optimizer = torch.optim.AdamW(
            groups,
            lr=o.learning_rate,
            betas=o.betas,
            weight_decay=o.weight_decay,
            fused=True,
        )
        self.stage, self.optimizer = self.fabric.setup(stage, optimizer)
        self.crops = Crops(recipe.data, recipe.codec.sample_rate, recipe.codec.hop, recipe.seed)
        self.validator = Validator(recipe.validation, recipe.codec)
        self.stopping = False

    @classmethod
    def start(cls, recipe: Recipe, run: Path) -> Trainer:
        """A new run.

        Raises:
            ConfigError: the folder already holds a run, or `init` is a model of another shape.
            ModelError: `init` is no model.
        """
        if (run / "recipe.yaml").exists():
            raise ConfigError(f"{run} already holds a run: use --resume {run} or another folder")
        trainer = cls(recipe, run)
        if recipe.init is not None:
            codec = load_codec(find_model(recipe.init))
            if codec.config != recipe.codec:
                raise ConfigError(f"init: model {recipe.init} has another `codec` than this recipe")
            trainer.stage.module.load_codec(codec)
        run.mkdir(parents=True, exist_ok=True)
        save_recipe(recipe, run / "recipe.yaml")
        return trainer

    @classmethod
    def resume(cls, run: Path) -> Trainer:
        """Go on where the run's last checkpoint was written."""
        if not (run / "recipe.yaml").is_file():
            raise ConfigError(f"{run} is not a run: it has no recipe.yaml")
        trainer = cls(load_recipe(run / "recipe.yaml"), run)
        if (run / checkpoint.LAST).is_file():
            trainer.load_state(checkpoint.load(run))
        return trainer

    def state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "norm": self.norm,
            "stage": self.stage.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.step, self.norm = state["step"], state["norm"]
        self.stage.module.load_state_dict(state["stage"])
        self.optimizer.load_state_dict(state["optimizer"])

    def fit(self, until: int | None = None) -> None:
        """Train to the last step (or to step `until`), saving and validating on the way.

        SIGINT and SIGTERM end the run after the current step, with a checkpoint.
        """
        last = min(until or self.recipe.steps, self.recipe.steps)
        monitor = Monitor(self.run, self.recipe, self.crops.seconds, self.step)
        saved = validated = time.monotonic()
        with self._stop_on_signals(), monitor:
            for batch in self._batches(last):
                monitor.log(self.step, *self._train(batch))
                now = time.monotonic()
                if now - validated > 60 * self.recipe.validation.every or self.step == last:
                    monitor.validation(self.step, self.validator.run(self.codec, self._started))
                    validated = time.monotonic()
                if now - saved > 60 * self.recipe.checkpoint_every or self.step == last:
                    checkpoint.save(self.state(), self.run)
                    saved = time.monotonic()
                if self.stopping:
                    break
            if self.stopping:
                checkpoint.save(self.state(), self.run)
                monitor.say(f"stopped at step {self.step}; audiodec train --resume {self.run}")

    @property
    def _started(self) -> bool:
        return bool(self.stage.module.started)

    def _batches(self, last: int) -> Iterator[Batch]:
        loader = DataLoader(
            self.crops,
            batch_size=None,
            sampler=range(self.step, last),
            num_workers=self.recipe.data.workers,
        )
        yield from self.fabric.setup_dataloaders(loader, use_distributed_sampler=False)

    def _train(self, batch: Batch) -> tuple[dict[str, float], list[float]]:
        """One step: its losses, norm and learning rate by name, and perplexities."""
        recipe = self.recipe
        if not self._started and self.step >= recipe.quantization.start * recipe.steps:
            self.stage.module.start_codebooks(self._collect_latents())
        rate = learning_rate(self.step, recipe)
        scale = recipe.optimizer.encoder_scale if self._started else 1.0
        for group, factor in zip(self.optimizer.param_groups, (scale, 1.0), strict=True):
            group["lr"] = rate * factor
        losses, perplexity = self.stage(batch, self.step)
        total = sum(getattr(recipe.losses, name) * value for name, value in losses.items())
        self.optimizer.zero_grad()
        self.fabric.backward(total)
        limit = min(recipe.optimizer.max_norm, 2 * self.norm)
        norm = self.fabric.clip_gradients(
            self.stage, self.optimizer, max_norm=limit, error_if_nonfinite=False
        ).item()
        self.step += 1
        if math.isfinite(norm):
            self.optimizer.step()
            self.norm = NORM_MEMORY * self.norm + (1 - NORM_MEMORY) * min(norm, 2 * self.norm)
        elif not math.isfinite(total.item()):
            raise AudioDecError(
                f"step {self.step}: the loss is {total.item()}; lower optimizer.learning_rate "
                f"and resume from {self.run}"
            )
        values = {f"loss/{name}": value.item() for name, value in losses.items()}
        extra = {"loss/total": total.item(), "train/norm": norm, "train/learning_rate": rate}
        return values | extra, perplexity.tolist()

    @torch.no_grad()
    def _collect_latents(self) -> torch.Tensor:
        found: list[torch.Tensor] = []
        step = self.step
        while sum(map(len, found)) < self.recipe.quantization.start_latents:
            with self.fabric.autocast():
                latents = self.codec.encoder(self.crops[step].audio[:, None])
            found.append(latents.float().transpose(1, 2).flatten(0, 1))
            step += 1
        return torch.cat(found)

    @contextmanager
    def _stop_on_signals(self) -> Iterator[None]:
        def stop(number: int, frame: FrameType | None) -> None:
            self.stopping = True

        before = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def learning_rate(step: int, recipe: Recipe) -> float:
    """Linear warm-up, constant, then linear decay to zero at the last step."""
    o = recipe.optimizer
    rise = min(1.0, (step + 1) / max(1, o.warmup))
    fall = min(1.0, (1 - step / recipe.steps) / (1 - o.decay_from)) if o.decay_from < 1 else 1.0
    return o.learning_rate * rise * fall
