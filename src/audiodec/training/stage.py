"""Stage 1, metric losses: what one training step computes."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from audiodec.codec.codec import Codec
from audiodec.quantization.learning import CodebookLearner
from audiodec.training.data import Batch
from audiodec.training.losses import MEL_BANDS, SpectralLoss
from audiodec.training.recipe import Recipe


class MetricStage(nn.Module):
    """Encoder, codebooks and decoder learn together from metric losses.

    Before the codebooks start, latents pass with unit Gaussian noise and a limit on their
    Gaussian rate, so that they arrive scaled for a distortion of about one.
    """

    started: Tensor

    def __init__(self, codec: Codec, recipe: Recipe) -> None:
        super().__init__()
        self.codec, self.recipe = codec, recipe
        q = recipe.quantization
        self.learner = CodebookLearner(codec.quantizer, q.decay, q.mean_decay)
        rate = codec.config.sample_rate
        self.spectral = nn.ModuleDict({str(w): SpectralLoss(w, rate) for w in MEL_BANDS})
        self.register_buffer("started", torch.tensor(False))  # the codebooks

    def forward(self, batch: Batch, step: int) -> tuple[dict[str, Tensor], Tensor]:
        """Losses by name, unweighted, and the perplexity per stage (empty before the start)."""
        random = torch.Generator().manual_seed((self.recipe.seed << 32) + step)
        latents = self.codec.encoder(batch.audio[:, None]).float()
        with torch.autocast(latents.device.type, enabled=False):
            losses, quantized, perplexity = self._quantize(latents, random)
        output = self.codec.decoder(quantized)[:, 0].float()
        with torch.autocast(latents.device.type, enabled=False):
            pick = torch.randperm(len(MEL_BANDS), generator=random)[: self.recipe.resolutions]
            for window in (list(MEL_BANDS)[int(i)] for i in pick):
                parts = self.spectral[str(window)](output, batch.audio, batch.bandwidth)
                for name, value in parts.items():
                    losses[name] = losses.get(name, 0) + value
        return losses, perplexity

    def _quantize(
        self, latents: Tensor, random: torch.Generator
    ) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        if not self.started:
            over = (gaussian_rate(latents) - self.recipe.quantization.rate_limit).relu()
            noise = torch.randn(latents.shape, generator=random)
            return {"rate": over}, latents + noise, torch.empty(0)
        stages, batch = len(self.codec.quantizer.codebooks), len(latents)
        drop = torch.rand(batch, generator=random) < self.recipe.quantization.dropout
        kept = torch.randint(1, stages, (batch,), generator=random)
        quantized = self.learner(latents, torch.where(drop, kept, stages), random)
        return (
            {"commitment": quantized.commitment},
            quantized.latents,
            quantized.perplexity,
        )

    def load_codec(self, codec: Codec) -> None:
        """Start from a trained codec of the same configuration, its codebooks included."""
        self.codec.load_state_dict(codec.state_dict())
        self.learner.go_on()
        self.started.fill_(True)

    @torch.no_grad()
    def start_codebooks(self, latents: Tensor) -> None:
        """k-means on latents [n, dim]; from here on the quantizer takes part."""
        random = torch.Generator().manual_seed(self.recipe.seed)
        self.learner.start(latents, random)
        self.started.fill_(True)


def gaussian_rate(latents: Tensor) -> Tensor:
    """Bits a frame that a Gaussian of the latents' covariance costs at unit distortion.

    R = 0.5 log2 det(I + Cov z), latents [batch, dim, frames].
    """
    covariance = torch.cov(latents.transpose(0, 1).flatten(1))
    eye = torch.eye(len(covariance), device=latents.device)
    return 0.5 * torch.logdet(eye + covariance) / math.log(2)
