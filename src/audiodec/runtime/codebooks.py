"""Codebooks without torch: beam search through them, and codes back to vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from audiodec.arrays import Codes
from audiodec.errors import ModelError
from audiodec.pretrained import WEIGHTS, ModelFolders

Floats = NDArray[np.float32]


class Codebooks:
    """A residual quantizer's code vectors.

    Args:
        vectors: [codebooks, size, dim].
        mean: taken off the latents before the first codebook, [dim].
    """

    def __init__(self, vectors: Floats, mean: Floats) -> None:
        # A row of zeros after each codebook: code -1, an absent one, adds nothing.
        self._padded = np.pad(vectors, ((0, 0), (0, 1), (0, 0)))
        self.vectors, self.mean = vectors, mean
        self.squares = np.square(vectors).sum(-1)
        self.doubled = np.ascontiguousarray(-2 * vectors.transpose(0, 2, 1))

    @classmethod
    def read(cls, weights: Path) -> Codebooks:
        """Read the codebooks from a model's safetensors file."""
        with safe_open(weights, "numpy") as file:
            vectors, mean = (file.get_tensor(f"quantizer.{n}") for n in ("codebooks", "mean"))
        return cls(vectors.astype(np.float32), mean.astype(np.float32))

    def decode(self, codes: Codes) -> Floats:
        """Turn codes [batch, codebooks, frames], -1 where one is absent, into quantized latents
        [batch, dim, frames]."""
        index = np.arange(codes.shape[1])[:, None]
        total = self._padded[index, codes].sum(1)
        return np.ascontiguousarray(total.transpose(0, 2, 1))

    def search(self, centred: Floats, num_codebooks: int, beam_width: int) -> Codes:
        """Find the best of the `beam_width` code sequences that are kept from codebook to codebook.

        Args:
            centred: latents less their mean, [batch, dim, frames].

        Returns:
            codes, [batch, codebooks, frames].
        """
        batch, dim, frames = centred.shape
        x = centred.transpose(0, 2, 1).reshape(-1, dim)
        residual = x[:, None]  # [n, kept, dim]
        paths = np.zeros((len(x), 1, 0), np.int64)
        rows = np.arange(len(x))[:, None]
        for i, codebook in enumerate(self.vectors[:num_codebooks]):
            # |r - c|^2 = |r|^2 - 2 r.c + |c|^2, for every kept path and every code.
            cost = residual @ self.doubled[i]
            cost += self.squares[i]
            cost += np.square(residual).sum(-1, keepdims=True)
            best = _smallest(cost.reshape(len(x), -1), beam_width)
            parent, code = np.divmod(best, len(codebook))
            residual = residual[rows, parent] - codebook[code]
            paths = np.concatenate([paths[rows, parent], code[..., None]], axis=-1)
        winner = paths[np.arange(len(x)), np.square(residual).sum(-1).argmin(1)]
        return np.ascontiguousarray(winner.reshape(batch, frames, num_codebooks).transpose(0, 2, 1))


def _smallest(cost: Floats, count: int) -> Codes:
    """Where the `count` smallest of each row are, in no order; `cost` is overwritten."""
    count = min(count, cost.shape[1])
    if count > 16:
        return np.argpartition(cost, count - 1, axis=1)[:, :count]
    # A few passes for the least are much faster than one partition.
    rows, found = np.arange(len(cost)), np.empty((len(cost), count), np.int64)
    for i in range(count):
        found[:, i] = cost.argmin(1)
        cost[rows, found[:, i]] = np.inf
    return found


def check_codebooks(model: ModelFolders) -> None:
    """Check that encoder and decoder mean the same by the same codes. Raises ModelError if not."""
    ours, theirs = (Codebooks.read(folder / WEIGHTS) for folder in (model.encoder, model.decoder))
    if not np.array_equal(ours.vectors, theirs.vectors):
        raise ModelError(
            f"encoder {model.encoder.name} and decoder {model.decoder.name} have different "
            "codebooks: the decoder must have been trained on this encoder's codes"
        )
