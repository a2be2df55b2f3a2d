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
        """Greedy search.

        Args:
            latents: [batch, dim, frames].
            num_codebooks: how many to code with; all by default.

        Returns:
            codes, int64, [batch, codebooks, frames], each below the codebook size.
        """
        batch, dim, frames = latents.shape
        centred = latents.transpose(1, 2) - self.mean
        codes, _ = search(centred.reshape(-1, dim), self.codebooks[:num_codebooks])
        return codes.view(-1, batch, frames).transpose(0, 1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [batch, codebooks, frames] -> centred quantized latents [batch, dim, frames]."""
        size, dim = self.codebooks.shape[1:]
        offset = size * torch.arange(codes.shape[1], device=codes.device)[:, None]
        vectors = functional.embedding(codes + offset, self.codebooks.view(-1, dim))
        return vectors.sum(1).transpose(1, 2)


def nearest(x: Tensor, codebook: Tensor) -> Tensor:
    """Index of the nearest code vector by squared Euclidean distance: [n, dim] -> [n]."""
    return torch.addmm(codebook.square().sum(1), x, codebook.t(), alpha=-2).argmin(1)


def search(x: Tensor, codebooks: Tensor) -> tuple[Tensor, Tensor]:
    """Greedy residual search.

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
