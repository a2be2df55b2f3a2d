"""What one training step computes: the network's output and its losses by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Self

import torch
from torch import Tensor, nn

from audiodec.nn.network import Network
from audiodec.training.codebooks import CodebookLearner
from audiodec.training.data import Batch
from audiodec.training.losses import MEL_BANDS, LevelLoss, SpectralLoss
from audiodec.training.parallel import gathered, global_batch, own_share
from audiodec.training.published_losses import LogMelLoss, StftLoss, shape_loss
from audiodec.training.recipe import Quantization, Recipe, Stage

Distance = Callable[[Tensor, Tensor], Tensor]
SPECTRAL = {"mel", "complex", "magnitude"}  # computed together, at random resolutions
BURST_FRAMES = 6  # frames, mean length of a burst of lost ones: two packets of a call


def codebook_learner(network: Network, q: Quantization) -> CodebookLearner:
    """Make the learner that a recipe asks for."""
    return CodebookLearner(
        network.quantizer,
        decay=q.decay,
        mean_decay=q.mean_decay if q.centred else None,
        dead_below=q.dead_below,
        smoothing=q.smoothing,
        commit_to_first=q.commitment == "first",
        gather=gathered,
    )


class TrainingStep(nn.Module):
    """The network under the losses of one stage; parts that do not learn stay in eval mode.

    Before the codebooks start, latents pass with unit Gaussian noise and a limit on their
    Gaussian rate, so that they arrive scaled for a distortion of about one.

    Args:
        network, learner: shared by the stages of a run.
        started: whether the codebooks have started.
    """

    def __init__(
        self,
        network: Network,
        learner: CodebookLearner,
        recipe: Recipe,
        stage: Stage,
        started: bool,
    ) -> None:
        super().__init__()
        self.network, self.learner, self.recipe, self.stage = network, learner, recipe, stage
        self.started = started
        rate = network.config.sample_rate
        if SPECTRAL & stage.losses.keys():
            self.spectral = nn.ModuleDict({str(w): SpectralLoss(w, rate) for w in MEL_BANDS})
        self.level, self.log_mel, self.stft = LevelLoss(rate), LogMelLoss(rate), StftLoss()
        for name in ("encoder", "decoder"):
            part = getattr(network, name)
            part.requires_grad_(name in stage.trainable)

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.network.encoder.train(mode and "encoder" in self.stage.trainable)
        self.network.decoder.train(mode and "decoder" in self.stage.trainable)
        self.learner.train(mode and "quantizer" in self.stage.trainable)
        return self

    def forward(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Run one training step's forward half.

        Args:
            step: of the whole run; with the recipe's seed it decides what is random.

        Returns:
            output [batch, channels, samples], unweighted losses by name, perplexity per codebook of
            the quantizer (empty before the codebooks start).
        """
        random = torch.Generator().manual_seed((self.recipe.seed << 32) + step)
        output, losses, perplexity = self._code(batch, random)
        with torch.autocast(output.device.type, enabled=False):
            losses |= self._distances(output, batch, random)
        return output, losses, perplexity

    def output(self, batch: Batch, step: int) -> Tensor:
        """Compute what `forward` would output, without the distances."""
        random = torch.Generator().manual_seed((self.recipe.seed << 32) + step)
        return self._code(batch, random)[0]

    def _code(
        self, batch: Batch, random: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        latents = self.network.encoder(batch.input).float()
        with torch.autocast(latents.device.type, enabled=False):
            losses, quantized, perplexity = self._quantize(latents, random)
            if self.stage.lost_frames:
                quantized = lose_frames(quantized, self.stage.lost_frames, random)
        return self.network.decoder(quantized).float(), losses, perplexity

    def _quantize(
        self, latents: Tensor, random: torch.Generator
    ) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        q, batch = self.recipe.quantization, global_batch(len(latents))
        if not self.started:
            over = (gaussian_rate(latents) - q.rate_limit).relu()
            noise = torch.randn((batch, *latents.shape[1:]), generator=random)
            noise = own_share(noise).to(latents.device)
            return {"rate": over}, latents + noise, torch.empty(0)
        codebooks = len(self.network.quantizer.codebooks)
        drop = torch.rand(batch, generator=random) < q.dropout
        # Uniform on a logarithmic scale, so that low rates are heard as often as high ones.
        kept = (torch.rand(batch, generator=random) * math.log(codebooks)).exp().long()
        kept = own_share(torch.where(drop, kept, codebooks))
        quantized = self.learner(latents, kept, random)
        return {"commitment": quantized.commitment}, quantized.latents, quantized.perplexity

    def _distances(
        self, output: Tensor, batch: Batch, random: torch.Generator
    ) -> dict[str, Tensor]:
        wanted = self.stage.losses.keys()
        a, b = output.flatten(0, 1), batch.target.flatten(0, 1)
        losses: dict[str, Tensor] = {}
        bandwidth = batch.bandwidth.repeat_interleave(output.shape[1])
        if "level" in wanted:
            losses["level"] = self.level(a, b, bandwidth)
        if SPECTRAL & wanted:
            # By Python's generator: what a fast device is told must not wait for a tensor.
            count = min(self.recipe.resolutions, len(MEL_BANDS))
            for window in Random(random.initial_seed()).sample(list(MEL_BANDS), count):
                for name, value in self.spectral[str(window)](a, b, bandwidth).items():
                    losses[name] = losses.get(name, 0) + value
        published: dict[str, Distance] = {
            "log_mel": self.log_mel,
            "stft": self.stft,
            "shape": shape_loss,
        }
        return losses | {name: loss(a, b) for name, loss in published.items() if name in wanted}


def lose_frames(quantized: Tensor, highest: float, random: torch.Generator) -> Tensor:
    """Lose frames in bursts, each replaced by the last one received, as `decode(None)` does.

    Gilbert, "Capacity of a Burst-Noise Channel", 1960: each item has a loss rate of its own.

    Args:
        quantized: [batch, dim, frames]; the first frame always arrives.
        highest: loss rates are uniform between zero and this.
    """
    frames, batch = quantized.shape[2], global_batch(len(quantized))
    rate = highest * torch.rand(batch, generator=random)
    begins = rate / (1 - rate) / BURST_FRAMES
    draws = torch.rand(frames, batch, generator=random)
    lost = torch.zeros(frames, batch, dtype=torch.bool)
    for t in range(1, frames):
        lost[t] = torch.where(lost[t - 1], draws[t] >= 1 / BURST_FRAMES, draws[t] < begins)
    received = torch.where(lost.t(), 0, torch.arange(frames)).cummax(1).values
    index = own_share(received).to(quantized.device)
    return quantized.gather(2, index[:, None].expand_as(quantized))


def gaussian_rate(latents: Tensor) -> Tensor:
    """Compute the bits a frame that a Gaussian of the latents' covariance costs at unit distortion.

    R = 0.5 log2 det(I + Cov z), latents [batch, dim, frames].
    """
    values = latents.transpose(0, 1).flatten(1)
    values = values - values.mean(1, keepdim=True)
    covariance = values @ values.t() / (values.shape[1] - 1)
    eye = torch.eye(len(covariance), device=latents.device)
    return 0.5 * torch.logdet(eye + covariance) / math.log(2)
