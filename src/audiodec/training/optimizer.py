"""Optimisers: AdamW, or Muon for the large matrices and AdamW for the rest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from audiodec.training.recipe import Optimizer

SMALLEST_SIDE = 256  # of the matrices that Muon takes; smaller ones gain little by it

Groups = list[dict[str, Any]]


def make_optimizer(
    parts: Iterable[tuple[str, nn.Module]], settings: Optimizer
) -> torch.optim.Optimizer:
    """An optimiser whose groups bear the names of the parts."""
    groups = [{"params": list(part.parameters()), "name": name} for name, part in parts]
    return MuonAdamW(groups, settings) if settings.muon else _adam(groups, settings)


class MuonAdamW(torch.optim.Optimizer):
    """Two optimisers that look like one: they share its groups and its state.

    Muon (Jordan, "Muon: An optimizer for hidden layers in neural networks", 2024) steps along the
    nearest orthogonal matrix, which moves all directions of a matrix alike. Its steps are scaled
    to the size of Adam's, so that one learning rate serves both (Liu et al., "Muon is scalable for
    LLM training", 2025).
    """

    def __init__(self, groups: Groups, settings: Optimizer) -> None:
        large = [_only(group, matrices=True) for group in groups]
        self.muon = torch.optim.Muon(
            large,
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            adjust_lr_fn="match_rms_adamw",
        )
        self.adam = _adam([_only(group, matrices=False) for group in groups], settings)
        super().__init__([*self.muon.param_groups, *self.adam.param_groups], {})
        self._share()

    def _share(self) -> None:
        large = len(self.muon.param_groups)
        self.muon.param_groups = self.param_groups[:large]
        self.adam.param_groups = self.param_groups[large:]
        self.muon.state = self.adam.state = self.state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._share()

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        self.muon.step()  # type: ignore[no-untyped-call]
        self.adam.step()


def _only(group: dict[str, Any], matrices: bool) -> dict[str, Any]:
    """The group's large matrices, or the rest of it."""
    kept = [
        p for p in group["params"] if (p.ndim == 2 and min(p.shape) >= SMALLEST_SIDE) == matrices
    ]
    return group | {"params": kept}


def _adam(groups: Groups, o: Optimizer) -> torch.optim.AdamW:
    return torch.optim.AdamW(
        groups, lr=o.learning_rate, betas=o.betas, weight_decay=o.weight_decay, fused=True
    )
