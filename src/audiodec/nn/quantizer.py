"""Residual vector quantization: each codebook codes what those before it left."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from audiodec.config import QuantizerConfig


class ResidualQuantizer(nn.Module):
    """Latents <-> integer codes. Holds the codebooks; `CodebookLearner` trains them.

    Frames are coded independently of each other, so codes decode alike on every arithmetic and
    a lost frame leaves no trace here. Leading codebooks are a valid coarser code.

    Residual VQ for codecs: Zeghidour et al., "SoundStream", 2021.
    """

    codebooks: Tensor
    mean: Tensor

    def __init__(self, config: QuantizerConfig) -> None:
        super().__init__()
        self.config = config
        shape = (config.codebooks, config.codebook_size, config.dim)
        self.register_buffer("codebooks", torch.zeros(shape))
        self.register_buffer("mean", torch.zeros(config.dim))  # taken off before the first codebook

    def encode(self, latents: Tensor, num_codebooks: int | None = None) -> Tensor:
        """Find codes for latents [batch, dim, frames] by greedy search.

        Args:
            latents: what the encoder gave, [batch, dim, frames].
            num_codebooks: how many to code with; all by default.

        Returns:
            codes, int64, [batch, codebooks, frames], each below the codebook size.
        """
        return self.search(latents.transpose(1, 2) - self.mean, num_codebooks)

    def search(
        self, centred: Tensor, num_codebooks: int | None = None, beam_width: int = 1
    ) -> Tensor:
        """Find codes for latents whose mean is taken off already.

        Args:
            centred: [batch, frames, dim].
            num_codebooks: how many to code with; all by default.
            beam_width: code sequences kept from codebook to codebook; 1 is the greedy search.

        Returns:
            codes, int64, [batch, codebooks, frames].
        """
        batch, frames, dim = centred.shape
        x, codebooks = centred.reshape(-1, dim), self.codebooks[:num_codebooks]
        codes = (
            search(x, codebooks)[0] if beam_width == 1 else beam_search(x, codebooks, beam_width)
        )
        return codes.view(-1, batch, frames).transpose(0, 1)

    def decode(self, codes: Tensor) -> Tensor:
        """Turn codes [batch, codebooks, frames], -1 where one is absent, into centred quantized
        latents [batch, dim, frames]."""
        size, dim = self.codebooks.shape[1:]
        offset = size * torch.arange(codes.shape[1], device=codes.device)[:, None]
        vectors = functional.embedding(codes.clamp_min(0) + offset, self.codebooks.view(-1, dim))
        return (vectors * (codes >= 0)[..., None]).sum(1).transpose(1, 2)


def nearest(x: Tensor, codebook: Tensor) -> Tensor:
    """Find the nearest code vector by squared Euclidean distance: [n, dim] -> [n]."""
    return torch.addmm(codebook.square().sum(1), x, codebook.t(), alpha=-2).argmin(1)


def search(x: Tensor, codebooks: Tensor) -> tuple[Tensor, Tensor]:
    """Find codes codebook by codebook, each the nearest to what is left (greedy residual search).

    Args:
        x: centred latents, [n, dim].
        codebooks: [codebooks, size, dim].

    Returns:
        codes [codebooks, n] and the residual that entered each codebook [codebooks, n, dim].
    """
    codes, residuals = [], []
    for codebook in codebooks:
        residuals.append(x)
        codes.append(nearest(x, codebook))
        x = x - functional.embedding(codes[-1], codebook)
    return torch.cat(codes).view(len(codes), -1), torch.stack(residuals)


def beam_search(x: Tensor, codebooks: Tensor, width: int) -> Tensor:
    """Find the best of the `width` code sequences that are kept from codebook to codebook.

    Args:
        x: centred latents, [n, dim].
        codebooks: [codebooks, size, dim].

    Returns:
        codes, [codebooks, n].
    """
    residual = x[:, None]  # [n, kept, dim]
    paths = torch.zeros(len(x), 1, 0, dtype=torch.int64, device=x.device)
    rows = torch.arange(len(x), device=x.device)
    for codebook in codebooks:
        # |r - c|^2 = |r|^2 - 2 r.c + |c|^2, for every kept path and every code.
        cost = residual.square().sum(-1, keepdim=True) + codebook.square().sum(-1)
        cost = (cost - 2 * residual @ codebook.t()).flatten(1)
        best = cost.topk(min(width, cost.shape[1]), largest=False).indices
        parent, code = best // len(codebook), best % len(codebook)
        residual = residual[rows[:, None], parent] - codebook[code]
        paths = torch.cat([paths[rows[:, None], parent], code[..., None]], dim=-1)
    return paths[rows, residual.square().sum(-1).argmin(1)].t().contiguous()
