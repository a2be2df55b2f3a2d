"""The graph that guesses lost frames, for every runtime: numpy in, numpy out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from audiodec.arrays import Samples
from audiodec.pretrained import CONCEALMENT, ModelFolders
from audiodec.runtime.graph import open_session


class ConcealmentGraph:
    """`concealment.onnx` of a model folder. It has no memory and holds its own weights.

    Args:
        path: of the graph.
        threads: CPU threads of each operation.

    Raises:
        ModelError: the graph cannot be loaded.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._session = open_session(path, threads)

    def __call__(self, latents: Samples, known: Samples) -> Samples:
        """Guess what a window lacks.

        Args:
            latents: of the codebooks that are known, [batch, dim, frames]; zeros where none is.
            known: share of all codebooks that are, [batch, frames], 0 to 1.

        Returns:
            whole latents, [batch, dim, frames].
        """
        given = {"latents": latents, "known": known}
        (guess,) = self._session.run(
            ["guess"], {name: np.ascontiguousarray(x, np.float32) for name, x in given.items()}
        )
        return np.asarray(guess, np.float32)


def find_concealment(model: ModelFolders, threads: int = 1) -> ConcealmentGraph | None:
    """Load the graph of a model's decoder; None where its folder has none."""
    path = model.decoder / CONCEALMENT
    return ConcealmentGraph(path, threads) if CONCEALMENT in model.info.files else None
