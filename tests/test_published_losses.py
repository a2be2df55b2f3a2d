"""The published losses number for number, and the adversary behind its two calls."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from audiodec.training.adversary import AdversarialLoss
from audiodec.training.discriminators import Discriminators
from audiodec.training.published_losses import LogMelLoss, StftLoss, shape_loss

LOSSES = Path(__file__).parents[2] / "shared" / "reference" / "losses.npz"


@pytest.mark.skipif(not LOSSES.exists(), reason="../shared is not here")
def test_losses_number_for_number() -> None:
    v = np.load(LOSSES)
    a, b = (torch.from_numpy(v[name])[None] for name in ("predicted", "natural"))
    convergence, magnitude = StftLoss().terms(a, b)
    for ours, name in (
        (LogMelLoss(48000)(a, b), "mel"), (convergence, "spectral_convergence"),
        (magnitude, "log_stft_magnitude"), (shape_loss(a, b), "waveform_shape"),
    ):  # fmt: skip
        assert float(ours) == pytest.approx(float(v[name]), abs=1e-5)


@pytest.mark.parametrize(
    ("kinds", "count"),
    [(("multi_scale", "multi_period", "multi_resolution"), 11), (("multi_frame",), 3)],
)
def test_an_adversary_tells_real_from_made_and_guides(kinds: tuple[str, ...], count: int) -> None:
    torch.manual_seed(0)
    loss = AdversarialLoss(Discriminators(kinds, width=0.125))
    real, made = torch.randn(2, 2, 4800) * 0.1, torch.randn(2, 2, 4800) * 0.001
    assert len(loss.discriminators(real)) == count
    optimizer = torch.optim.Adam(loss.parameters(), 1e-3)
    first = None
    for _ in range(15):
        value = loss(made, real)
        first = first or float(value)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    assert float(value) < 0.7 * first
    terms = loss.generator(made.requires_grad_(), real)
    assert loss.generator(real, real)["adversarial"] < terms["adversarial"]
    assert float(loss.generator(real, real)["feature_matching"]) == pytest.approx(0, abs=1e-4)
    terms["adversarial"].backward()
    assert made.grad is not None
    assert made.grad.abs().sum() > 0
