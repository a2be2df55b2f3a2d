"""How codebooks learn: k-means start, running averages, dead-code restart, straight-through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from audiodec.nn.quantizer import ResidualQuantizer, nearest, search

RESTART_USAGE = 0.3  # usage a restarted code is credited with, so that it gets time to settle


@dataclass
class Quantized:
    """What one training pass through the quantizer gives.

    Attributes:
        latents: quantized, gradient passed straight through; [batch, dim, frames].
        commitment: mean squared distance of the latents to their code vectors; scalar.
        perplexity: of each codebook in this batch; [codebooks].
    """

    latents: Tensor
    commitment: Tensor
    perplexity: Tensor


class CodebookLearner(nn.Module):
    """Trains the codebooks of a `ResidualQuantizer` by exponential moving averages.

    EMA codebooks: van den Oord et al., "Neural Discrete Representation Learning", 2017;
    k-means start, restart of dead codes and quantizer dropout: Zeghidour et al., 2021.

    Args:
        decay: of the running averages.
        mean_decay: of the latents' running mean, which is taken off first; None: it stays as it is
            (zero, in a new quantizer), and the gradient passes whole.
        dead_below: usage, relative to the mean of all codes, below which a code restarts.
        smoothing: Laplace smoothing of the usage.
        commit_to_first: commit to the first codebook alone, as the published training does: its
            value sums all codebooks, its gradient is the first one's.
        gather: joins the items of all processes, so that codebooks agree: [n, ...] -> [m, ...].
    """

    usage: Tensor
    total: Tensor

    def __init__(
        self,
        quantizer: ResidualQuantizer,
        *,
        decay: float = 0.99,
        mean_decay: float | None = 0.95,
        dead_below: float = 0.02,
        smoothing: float = 0.0,
        commit_to_first: bool = False,
        gather: Callable[[Tensor], Tensor] = Tensor.detach,
    ) -> None:
        super().__init__()
        self.quantizer, self.decay, self.mean_decay = quantizer, decay, mean_decay
        self.dead_below, self.smoothing = dead_below, smoothing
        self.commit_to_first, self.gather = commit_to_first, gather
        self.register_buffer("usage", torch.ones(quantizer.codebooks.shape[:2]))
        self.register_buffer("total", torch.zeros_like(quantizer.codebooks))

    @torch.no_grad()
    def start(self, latents: Tensor, generator: torch.Generator, iterations: int = 8) -> None:
        """Centre the latents and fit every codebook by k-means on what those before leave.

        Args:
            latents: [n, dim], n at least the codebook size.
        """
        if self.mean_decay is not None:
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

    def forward(
        self, latents: Tensor, num_codebooks: Tensor, generator: torch.Generator
    ) -> Quantized:
        """Quantize, and move the codebooks one step when in training mode.

        Args:
            latents: [batch, dim, frames].
            num_codebooks: how many each item keeps (quantizer dropout), [batch].
        """
        batch, dim, frames = latents.shape
        z = latents.transpose(1, 2).reshape(-1, dim).float()
        if self.training and self.mean_decay is not None:
            # The gradient of the mean is taken off and the running mean follows quickly, so the
            # encoder cannot drift away from its codebooks as a whole.
            self.quantizer.mean.lerp_(self.gather(z).mean(0), 1 - self.mean_decay)
            if z.requires_grad:
                z.register_hook(  # type: ignore[no-untyped-call]
                    lambda g: g - self.gather(g).mean(0)
                )
        z = z - self.quantizer.mean
        x = z.detach()
        codes, residuals = search(x, self.quantizer.codebooks)
        parts = [b.index_select(0, c) for b, c in zip(self.quantizer.codebooks, codes, strict=True)]
        if self.training:
            self._update(codes, x, generator)
        # [codebooks, batch]
        kept = (torch.arange(len(codes))[:, None] < num_codebooks).float().to(z.device)
        kept = kept[:, :, None].expand(-1, -1, frames).reshape(len(codes), -1, 1)
        q = (torch.stack(parts) * kept).sum(0)
        if self.commit_to_first:
            later = [(r - p).square().mean() for r, p in zip(residuals, parts, strict=True)][1:]
            commitment = (z - parts[0]).square().mean() + sum(later)
        else:
            commitment = (z - q).square().mean()
        straight = (z + (q - x)).view(batch, frames, dim).transpose(1, 2)
        return Quantized(straight, commitment, perplexity(codes, self.usage.shape[1]))

    @torch.no_grad()
    def _update(self, codes: Tensor, x: Tensor, generator: torch.Generator) -> None:
        """One step of the running averages, from the items of all processes."""
        codes, x = self.gather(codes.t()).t(), self.gather(x)
        size = self.usage.shape[1]
        scale = size / len(x)
        for i, index in enumerate(codes):
            entered = x
            x = x - self.quantizer.codebooks[i].index_select(0, index)
            usage = counts(index, size) * scale
            total = torch.zeros_like(self.total[i]).index_add_(0, index, entered) * scale
            self.usage[i].lerp_(usage, 1 - self.decay)
            self.total[i].lerp_(total, 1 - self.decay)
            dead = self.usage[i] < self.dead_below
            fresh = entered[random_rows(x, size, generator)] * RESTART_USAGE
            self.usage[i].masked_fill_(dead, RESTART_USAGE)
            self.total[i] = torch.where(dead[:, None], fresh, self.total[i])
            count = self.usage[i]
            if self.smoothing:
                count = (
                    (count + self.smoothing) * count.sum() / (count.sum() + size * self.smoothing)
                )
            self.quantizer.codebooks[i] = self.total[i] / count[:, None].clamp_min(1e-8)


def kmeans(x: Tensor, codebook: Tensor, generator: torch.Generator, iterations: int) -> Tensor:
    """Run Lloyd's algorithm in place on `codebook` [size, dim]; returns the usage counts [size]."""
    size = len(codebook)
    if len(x) < size:
        raise ValueError(f"k-means needs at least {size} vectors, got {len(x)}")
    codebook.copy_(x[torch.randperm(len(x), generator=generator)[:size].to(x.device)])
    for _ in range(iterations):
        index = nearest(x, codebook)
        usage = counts(index, size)[:, None]
        total = torch.zeros_like(codebook).index_add_(0, index, x)
        fresh = x[random_rows(x, size, generator)]
        codebook.copy_(torch.where(usage == 0, fresh, total / usage.clamp_min(1)))
    return counts(nearest(x, codebook), size).clamp_min(RESTART_USAGE)


def perplexity(codes: Tensor, size: int) -> Tensor:
    """Compute exp(entropy) of the codes used: [codebooks, n] -> [codebooks]; `size` at the most."""
    p = torch.stack([counts(c, size) for c in codes]) / codes.shape[1]
    return torch.exp(torch.special.entr(p).sum(1))


# Shapes below do not depend on values: a fast device need not wait for the answer.


def counts(index: Tensor, size: int) -> Tensor:
    """Count how often each of `size` codes occurs in `index` [n], float32, [size]."""
    ones = torch.ones(len(index), device=index.device)
    return torch.zeros(size, device=index.device).index_add_(0, index, ones)


def random_rows(x: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draw indices of `count` random rows of `x`, the same on every kind of device."""
    return torch.randint(len(x), (count,), generator=generator).to(x.device)
