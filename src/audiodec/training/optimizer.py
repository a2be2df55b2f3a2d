"""Optimisers: AdamW, or Muon for the large matrices and AdamW for the rest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from audiodec.training.device import fast_in_bfloat16
from audiodec.training.recipe import Optimizer

MIN_SIDE = 256  # of the matrices that Muon takes; smaller ones gain little by it
MOMENTUM = 0.95  # of Muon

Groups = list[dict[str, Any]]


def make_optimizer(
    parts: Iterable[tuple[str, nn.Module]], settings: Optimizer
) -> torch.optim.Optimizer:
    """Make an optimiser whose groups bear the names of the parts."""
    groups = [{"params": list(part.parameters()), "name": name} for name, part in parts]
    return MuonAdamW(groups, settings) if settings.muon else _adam(groups, settings)


class Muon(torch.optim.Optimizer):
    """Steps along the nearest orthogonal matrix, which moves all directions of a matrix alike.

    Jordan, "Muon: An optimizer for hidden layers in neural networks", 2024. Steps are scaled to the
    size of Adam's, so that one learning rate serves both (Liu et al., "Muon is scalable for LLM
    training", 2025). Unlike `torch.optim.Muon` it computes in the precision that the device is
    fast in; that one is bound to bfloat16, thirty times slower on a CPU without its instructions.
    """

    def __init__(self, groups: Groups, settings: Optimizer) -> None:
        super().__init__(
            groups, {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
        )

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                momentum = state["momentum"].lerp_(weight.grad, 1 - MOMENTUM)
                update = orthogonalised(weight.grad.lerp(momentum, MOMENTUM))  # Nesterov's
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(update, alpha=-group["lr"] * 0.2 * max(weight.shape) ** 0.5)


def orthogonalised(matrix: Tensor) -> Tensor:
    """Compute a matrix with the same singular vectors whose singular values are near 1 (0.7 to
    1.2).

    Five Newton-Schulz iterations of degree five, with Jordan's coefficients.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix.bfloat16() if fast_in_bfloat16(matrix.device) else matrix
    x = x.T if len(x) > len(x.T) else x
    x = x / x.norm().clamp(min=1e-7)  # the largest singular value is now at most 1
    for _ in range(5):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x if x.shape == matrix.shape else x.T).to(matrix.dtype)


class MuonAdamW(torch.optim.Optimizer):
    """Muon and AdamW as one optimiser: they share its groups and its state."""

    def __init__(self, groups: Groups, settings: Optimizer) -> None:
        self.muon = Muon([_only(group, matrices=True) for group in groups], settings)
        self.adam = _adam([_only(group, matrices=False) for group in groups], settings)
        super().__init__([*self.muon.param_groups, *self.adam.param_groups], {})
        self._share()

    def _share(self) -> None:
        large = len(self.muon.param_groups)
        self.muon.param_groups = self.param_groups[:large]
        self.adam.param_groups = self.param_groups[large:]
        self.muon.state = self.adam.state = self.state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the state of both optimisers."""
        super().load_state_dict(state_dict)
        self._share()

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        self.muon.step()
        self.adam.step()


def _only(group: dict[str, Any], matrices: bool) -> dict[str, Any]:
    """Choose the group's large matrices, or the rest of it."""
    kept = [p for p in group["params"] if (p.ndim == 2 and min(p.shape) >= MIN_SIDE) == matrices]
    return group | {"params": kept}


def _adam(groups: Groups, o: Optimizer) -> torch.optim.AdamW:
    return torch.optim.AdamW(
        groups, lr=o.learning_rate, betas=o.betas, weight_decay=o.weight_decay, fused=True
    )
