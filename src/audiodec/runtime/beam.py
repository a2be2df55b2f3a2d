"""Beam search over the stages of a residual quantizer: better codes, same format."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audiodec.runtime.base import Codes

Floats = NDArray[np.float32]


class BeamSearch:
    """Keeps the `beam` best code sequences of every frame from stage to stage.

    Args:
        codebooks: [stages, size, dim].
        mean: taken off the latents first, [dim].
    """

    def __init__(self, codebooks: Floats, mean: Floats) -> None:
        self.codebooks, self.mean = codebooks, mean
        self.squares = np.square(codebooks).sum(-1)

    def __call__(self, latents: Floats, stages: int, beam: int) -> Codes:
        """Latents [batch, dim, frames] -> codes [batch, stages, frames]."""
        batch, dim, frames = latents.shape
        x = latents.transpose(0, 2, 1).reshape(-1, dim) - self.mean
        residual = x[:, None]  # [n, kept, dim]
        error = np.zeros((len(x), 1), np.float32)  # squared norm of the residual, up to |x|^2
        paths = np.zeros((len(x), 1, 0), np.int64)
        rows = np.arange(len(x))[:, None]
        for codebook, squares in zip(self.codebooks[:stages], self.squares, strict=False):
            # |r - c|^2 = |r|^2 - 2 r.c + |c|^2, for every kept path and every code.
            cost = (error[..., None] - 2 * residual @ codebook.T + squares).reshape(len(x), -1)
            best = np.argpartition(cost, beam - 1, axis=1)[:, :beam]
            parent, code = np.divmod(best, len(codebook))
            error = np.take_along_axis(cost, best, axis=1)
            residual = residual[rows, parent] - codebook[code]
            paths = np.concatenate([paths[rows, parent], code[..., None]], axis=-1)
        winner = paths[np.arange(len(x)), error.argmin(1)]
        return np.ascontiguousarray(winner.reshape(batch, frames, stages).transpose(0, 2, 1))
