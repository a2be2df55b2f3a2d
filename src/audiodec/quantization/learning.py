"""How codebooks learn: k-means start, running averages, dead-code restart, straight-through."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from audiodec.quantization.residual import ResidualQuantizer, nearest, search

DEAD_BELOW = 0.02  # usage, relative to the mean of all codes, below which a code restarts
RESTART_USAGE = 0.3  # usage a restarted code is credited with, so that it gets time to settle


@dataclass
class Quantized:
    """What one training pass through the quantizer gives.

    Attributes:
        latents: quantized, gradient passed straight through; [batch, dim, frames].
        commitment: mean squared distance of the latents to their code vectors; scalar.
        perplexity: of each stage in this batch; [stages].
    """

    latents: Tensor
    commitment: Tensor
    perplexity: Tensor


class CodebookLearner(nn.Module):
    """Trains the codebooks of a `ResidualQuantizer` by exponential moving averages.

    EMA codebooks: van den Oord et al., "Neural Discrete Representation Learning", 2017;
    k-means start, restart of dead codes and quantizer dropout: Zeghidour et al., 2021.
    """

    usage: Tensor
    total: Tensor

    def __init__(self, quantizer: ResidualQuantizer, decay: float, mean_decay: float) -> None:
        super().__init__()
        self.quantizer, self.decay, self.mean_decay = quantizer, decay, mean_decay
        self.register_buffer("usage", torch.ones(quantizer.codebooks.shape[:2]))
        self.register_buffer("total", torch.zeros_like(quantizer.codebooks))

    @torch.no_grad()
    def start(self, latents: Tensor, generator: torch.Generator, iterations: int = 8) -> None:
        """Centre the latents and fit every codebook by k-means on what the stages before leave.

        Args:
            latents: [n, dim], n at least the codebook size.
        """
        self.quantizer.mean.copy_(latents.mean(0))
        x = latents - self.quantizer.mean
        for i, codebook in enumerate(self.quantizer.codebooks):
            usage = kmeans(x, codebook, generator, iterations)
            self.usage[i] = usage / usage.mean()
            self.total[i] = codebook * self.usage[i][:, None]
            x = x - codebook.index_select(0, nearest(x, codebook))

    @torch.no_grad()
    def go_on(self) -> None:
        """Go on learning from the codebooks as they are, each code taken as equally used."""
        self.usage.fill_(1)
        self.total.copy_(self.quantizer.codebooks)

    def forward(self, latents: Tensor, stages: Tensor, generator: torch.Generator) -> Quantized:
        """Quantize, and move the codebooks one step when in training mode.

        Args:
            latents: [batch, dim, frames].
            stages: how many stages each item keeps (quantizer dropout), [batch].
        """
        batch, dim, frames = latents.shape
        z = latents.transpose(1, 2).reshape(-1, dim).float()
        if self.training:
            # The gradient of the mean is taken off and the running mean follows quickly, so the
            # encoder cannot drift away from its codebooks as a whole.
            mean = z.mean(0)
            self.quantizer.mean.lerp_(mean.detach(), 1 - self.mean_decay)
            z = z - (mean - mean.detach())
        z = z - self.quantizer.mean
        x = z.detach()
        codes, residuals = search(x, self.quantizer.codebooks)
        if self.training:
            self._update(codes, residuals, generator)
        kept = (torch.arange(len(codes))[:, None] < stages).float()  # [stages, batch]
        kept = kept[:, :, None].expand(-1, -1, frames).reshape(len(codes), -1, 1)
        parts = [b.index_select(0, c) for b, c in zip(self.quantizer.codebooks, codes, strict=True)]
        q = (torch.stack(parts) * kept).sum(0)
        commitment = (z - q).square().mean()
        straight = (z + (q - x)).view(batch, frames, dim).transpose(1, 2)
        return Quantized(straight, commitment, perplexity(codes, self.usage.shape[1]))

    @torch.no_grad()
    def _update(self, codes: Tensor, residuals: Tensor, generator: torch.Generator) -> None:
        for i, (index, x) in enumerate(zip(codes, residuals, strict=True)):
            scale = self.usage.shape[1] / len(x)
            usage = torch.bincount(index, minlength=self.usage.shape[1]).float() * scale
            total = torch.zeros_like(self.total[i]).index_add_(0, index, x) * scale
            self.usage[i].lerp_(usage, 1 - self.decay)
            self.total[i].lerp_(total, 1 - self.decay)
            dead = self.usage[i] < DEAD_BELOW
            if dead.any():
                pick = torch.randint(len(x), (int(dead.sum()),), generator=generator)
                self.usage[i][dead] = RESTART_USAGE
                self.total[i][dead] = x[pick] * RESTART_USAGE
            self.quantizer.codebooks[i] = self.total[i] / self.usage[i][:, None]


def kmeans(x: Tensor, codebook: Tensor, generator: torch.Generator, iterations: int) -> Tensor:
    """Lloyd's algorithm, in place on `codebook` [size, dim]; returns the usage counts [size]."""
    size = len(codebook)
    if len(x) < size:
        raise ValueError(f"k-means needs at least {size} vectors, got {len(x)}")
    codebook.copy_(x[torch.randperm(len(x), generator=generator)[:size]])
    for _ in range(iterations):
        index = nearest(x, codebook)
        usage = torch.bincount(index, minlength=size).float()
        total = torch.zeros_like(codebook).index_add_(0, index, x)
        codebook.copy_(total / usage.clamp_min(1)[:, None])
        empty = usage == 0
        pick = torch.randint(len(x), (int(empty.sum()),), generator=generator)
        codebook[empty] = x[pick]
    return torch.bincount(nearest(x, codebook), minlength=size).float().clamp_min(RESTART_USAGE)


def perplexity(codes: Tensor, size: int) -> Tensor:
    """exp(entropy) of the codes used: [stages, n] -> [stages]; `size` at the most."""
    counts = torch.stack([torch.bincount(c, minlength=size) for c in codes]).float()
    p = counts / counts.sum(1, keepdim=True)
    return torch.exp(torch.special.entr(p).sum(1))
