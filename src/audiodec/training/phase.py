"""The run of one stage: its modules, optimisers and adversary, a step at a time."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from audiodec.errors import AudioDecError, ConfigError
from audiodec.nn.network import Network
from audiodec.training.adversary import AdversarialLoss
from audiodec.training.codebooks import CodebookLearner
from audiodec.training.data import Batch, Crops
from audiodec.training.discriminators import Discriminators
from audiodec.training.optimizer import make_optimizer
from audiodec.training.parallel import global_batch, mean_over_processes, world
from audiodec.training.recipe import Optimizer, Recipe, Stage
from audiodec.training.step import TrainingStep

NORM_MEMORY = 0.99  # of the running gradient norm
MAX_OVERFLOWS = 50  # steps in a row whose gradient may overflow

Values = dict[str, float]


class Phase:
    """The run of a stage.

    Args:
        first: step of the run at which the stage begins.
        started: whether the codebooks have started.
    """

    def __init__(
        self,
        fabric: Fabric,
        recipe: Recipe,
        stage: Stage,
        network: Network,
        learner: CodebookLearner,
        *,
        first: int,
        started: bool,
    ) -> None:
        self.fabric, self.recipe, self.stage, self.network = fabric, recipe, stage, network
        self.learner, self.first, self.last = learner, first, first + stage.steps
        self.crops = _crops(recipe, stage)
        if not started and "quantizer" not in stage.trainable:
            raise ConfigError(
                f"stage {stage.name}: the codebooks have not started: set `init`, or let the "
                "quantizer learn in an earlier stage"
            )
        torch.manual_seed(recipe.seed + first)
        module = TrainingStep(network, learner, recipe, stage, started)
        self.scales = {"encoder": stage.optimizer.encoder_scale, "decoder": 1.0}
        parts = [name for name in ("encoder", "decoder") if name in stage.trainable]
        optimizer = make_optimizer([(p, getattr(network, p)) for p in parts], stage.optimizer)
        self.module, self.optimizer = fabric.setup(module, optimizer)
        self.module.train()
        self.clipper = Clipper(fabric, stage.optimizer)
        self.adversary = None
        if stage.adversary is not None:
            a = stage.adversary
            loss = AdversarialLoss(Discriminators(a.kinds, a.width))
            optimizer = make_optimizer([("adversary", loss)], a.optimizer)
            self.adversary, self.adversary_optimizer = fabric.setup(loss, optimizer)
            self.adversary_clipper = Clipper(fabric, a.optimizer)

    @property
    def started(self) -> bool:
        """Whether the codebooks have started."""
        return bool(self.module.module.started)

    def state(self) -> dict[str, Any]:
        """Give all that a checkpoint must hold to go on here."""
        state: dict[str, Any] = {
            "stage": self.stage.name,
            "norm": self.clipper.norm,
            "optimizer": self.optimizer.state_dict(),
        }
        if self.adversary is not None:
            state["adversary"] = self.adversary.module.state_dict()
            state["adversary_optimizer"] = self.adversary_optimizer.state_dict()
            state["adversary_norm"] = self.adversary_clipper.norm
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.clipper.norm = state["norm"]
        self.optimizer.load_state_dict(state["optimizer"])
        if self.adversary is not None:
            self.adversary.module.load_state_dict(state["adversary"])
            self.adversary_optimizer.load_state_dict(state["adversary_optimizer"])
            self.adversary_clipper.norm = state["adversary_norm"]

    def train(self, batch: Batch, step: int) -> tuple[Values, list[float]]:
        """Take one step; gives losses, norms and learning rate by name, and perplexities."""
        q = self.recipe.quantization
        if not self.started and step - self.first >= q.start * self.stage.steps:
            self._start_codebooks(step)
        rate = learning_rate(step - self.first, self.stage.steps, self.stage.optimizer)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * (self.scales[group["name"]] if self.started else 1.0)
        output, losses, perplexity = self.module(batch, step)
        if self.adversary is not None:
            self.adversary.module.requires_grad_(False)
            with self.fabric.autocast():
                losses |= self.adversary.module.generator(output, batch.target)
        weights = self.stage.losses
        total = sum(weights.get(name, 0.0) * value for name, value in losses.items())
        assert isinstance(total, Tensor)
        self.optimizer.zero_grad()
        self.fabric.backward(total)
        norm = self.clipper.step(self.module, self.optimizer, total, step)
        values = {f"loss/{name}": value for name, value in losses.items()} | {"loss/total": total}
        extra = {"train/norm": norm, "train/learning_rate": rate}
        if self.adversary is not None:
            values["loss/discriminators"], extra["train/adversary_norm"] = self._train_adversary(
                batch, step
            )
        found = mean_over_processes(torch.stack([v.detach().float() for v in values.values()]))
        return dict(zip(values, found.tolist(), strict=True)) | extra, perplexity.tolist()

    def _train_adversary(self, batch: Batch, step: int) -> tuple[Tensor, float]:
        """Take the discriminators' step, on what the generator says after its own."""
        assert self.adversary is not None
        assert self.stage.adversary is not None
        settings = self.stage.adversary.optimizer
        rate = learning_rate(step - self.first, self.stage.steps, settings)
        for group in self.adversary_optimizer.param_groups:
            group["lr"] = rate
        self.learner.eval()  # the same batch must not move the codebooks twice
        with torch.no_grad(), self.fabric.autocast():
            output = self.module.module.output(batch, step)
        self.module.train()
        self.adversary.module.requires_grad_(True)
        loss: Tensor = self.adversary(output, batch.target)
        self.adversary_optimizer.zero_grad()
        self.fabric.backward(loss)
        return loss, self.adversary_clipper.step(
            self.adversary, self.adversary_optimizer, loss, step
        )

    @torch.no_grad()
    def _start_codebooks(self, step: int) -> None:
        """k-means on the latents of coming steps, the same on every process."""
        found: list[Tensor] = []
        ahead, items = step, range(global_batch(self.crops.data.batch))
        while sum(map(len, found)) < self.recipe.quantization.start_latents:
            with self.fabric.autocast():
                heard = self.crops.items(ahead, items).input.to(self.fabric.device)
                latents = self.network.encoder(heard)
            found.append(latents.float().transpose(1, 2).flatten(0, 1))
            ahead += 1
        self.learner.start(torch.cat(found), torch.Generator().manual_seed(self.recipe.seed))
        self.module.module.started = True


class Clipper:
    """Takes an optimiser's step with the gradient clipped, refusing what is not finite."""

    def __init__(self, fabric: Fabric, settings: Optimizer) -> None:
        self.fabric, self.limit, self.norm = fabric, settings.max_norm, 1.0
        self.skipped = 0  # steps in a row

    def step(
        self, module: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor, step: int
    ) -> float:
        """Clip at the limit and at twice the running norm, step; returns the norm.

        Raises:
            AudioDecError: the loss is not finite, or the gradient many times in a row.
        """
        limit = math.inf if self.limit is None else min(self.limit, 2 * self.norm)
        norm = float(
            self.fabric.clip_gradients(module, optimizer, max_norm=limit, error_if_nonfinite=False)
        )
        self.skipped = 0 if math.isfinite(norm) else self.skipped + 1
        if math.isfinite(norm):
            optimizer.step()
            self.norm = NORM_MEMORY * self.norm + (1 - NORM_MEMORY) * min(norm, 2 * self.norm)
        elif not math.isfinite(loss.item()) or self.skipped >= MAX_OVERFLOWS:
            raise AudioDecError(
                f"step {step}: the loss is {loss.item()}, its gradient {norm}; lower the stage's "
                "optimizer.learning_rate and resume from the last checkpoint"
            )
        return norm


def learning_rate(step: int, steps: int, o: Optimizer) -> float:
    """Compute the rate: linear warm-up, then constant, linear decay to zero at the last step, or
    halvings."""
    rise = min(1.0, (step + 1) / max(1, o.warmup))
    fall = min(1.0, (1 - step / steps) / (1 - o.decay_from)) if o.decay_from < 1 else 1.0
    halvings = step // o.halve_every if o.halve_every else 0
    return o.learning_rate * rise * fall * 0.5**halvings


def _crops(recipe: Recipe, stage: Stage) -> Crops:
    """Give the recipe's data with the stage's own settings. Raises ConfigError."""
    data = dataclasses.replace(
        recipe.data,
        crop=stage.crop or recipe.data.crop,
        batch=stage.batch or recipe.data.batch,
    )
    codec = recipe.codec
    return Crops(
        data, codec.sample_rate, codec.hop, recipe.seed, codec.channels, world(),
        stage.min_bandwidth,
    )  # fmt: skip
