"""Codebooks: greedy and beam search, learning, start, restart, dropout."""

from __future__ import annotations

import numpy as np
import torch

from audiodec.config import QuantizerConfig
from audiodec.nn.quantizer import ResidualQuantizer
from audiodec.runtime.codebooks import Codebooks
from audiodec.training.codebooks import CodebookLearner, perplexity

CONFIG = QuantizerConfig(codebooks=3, codebook_size=32, dim=4)


def started(latents: torch.Tensor, decay: float = 0.9) -> CodebookLearner:
    learner = CodebookLearner(ResidualQuantizer(CONFIG), decay=decay, mean_decay=0.9)
    learner.start(latents, torch.Generator().manual_seed(0))
    return learner


def frames(n: int = 2000, seed: int = 0) -> torch.Tensor:
    """Correlated latents with a mean, [n, dim]."""
    random = torch.Generator().manual_seed(seed)
    mix = torch.randn(4, 4, generator=random)
    return torch.randn(n, 4, generator=random) @ mix + 3


def test_every_codebook_lowers_the_error_and_codes_are_in_range() -> None:
    x = frames()
    quantizer = started(x).quantizer
    latents = x.t()[None]
    errors = []
    for num_codebooks in (1, 2, 3):
        codes = quantizer.encode(latents, num_codebooks)
        assert codes.shape == (1, num_codebooks, len(x))
        assert codes.dtype == torch.int64
        assert 0 <= codes.min() <= codes.max() < 32
        errors.append((latents - quantizer.mean[:, None] - quantizer.decode(codes)).square().mean())
    assert errors[2] < 0.5 * errors[1] < 0.25 * errors[0]


def test_leading_codebooks_are_the_coarser_code() -> None:
    x = frames()
    quantizer = started(x).quantizer
    assert torch.equal(quantizer.encode(x.t()[None], 2), quantizer.encode(x.t()[None])[:, :2])


def test_frames_are_coded_independently() -> None:
    x = frames(50)
    quantizer = started(frames()).quantizer
    whole = quantizer.encode(x.t()[None])
    single = torch.cat([quantizer.encode(row[None, :, None]) for row in x], dim=2)
    assert torch.equal(whole, single)


def test_beam_search_of_one_is_greedy_and_wider_is_better() -> None:
    x = frames()
    quantizer = started(x).quantizer
    search = Codebooks(quantizer.codebooks.numpy(), quantizer.mean.numpy()).search
    latents = x.t()[None]
    centred = latents - quantizer.mean[:, None]

    def error(codes: np.ndarray) -> float:
        decoded = quantizer.decode(torch.from_numpy(codes))
        return float((centred - decoded).square().mean())

    assert np.array_equal(search(centred.numpy(), 3, 1), quantizer.encode(latents).numpy())
    errors = [error(search(centred.numpy(), 3, beam)) for beam in (1, 4, 16)]
    assert errors[0] > errors[1] >= errors[2]
    widest = search(centred.numpy(), 3, 64)  # more than the codebook has
    assert error(widest) <= errors[2]
    best_of_two = [error(search(centred.numpy(), 2, beam)) for beam in (1, 16)]
    assert best_of_two[1] < best_of_two[0]


def test_codebooks_follow_a_moving_source() -> None:
    """Latents shift and grow; after some steps the codes fit them as well as at the start."""
    x = frames()
    learner = started(x).train()
    random = torch.Generator().manual_seed(1)
    full = torch.full((1,), 3)
    moved = (2 * x + 5).t()[None]
    learner(moved, full, random)
    before = float(learner(moved, full, random).commitment)
    for _ in range(100):
        after = float(learner(moved, full, random).commitment)
    assert after < 0.1 * before


def test_dead_codes_restart() -> None:
    learner = started(frames()).train()
    narrow = frames(seed=5)[:200] * 0.01 + 3
    random = torch.Generator().manual_seed(1)
    for _ in range(80):
        out = learner(narrow.t()[None], torch.full((1,), 3), random)
    assert out.perplexity[0] > 16


def test_evaluation_mode_leaves_codebooks_alone() -> None:
    learner = started(frames()).eval()
    before = learner.quantizer.codebooks.clone()
    learner(frames(seed=2).t()[None], torch.full((1,), 3), torch.Generator())
    assert torch.equal(before, learner.quantizer.codebooks)


def test_dropout_keeps_leading_codebooks_and_the_gradient_passes_straight() -> None:
    learner = started(frames()).eval()
    x = torch.stack([frames(20, 3).t(), frames(20, 4).t()]).requires_grad_()
    out = learner(x, torch.tensor([1, 3]), torch.Generator())
    codes = learner.quantizer.encode(x.detach())
    torch.testing.assert_close(out.latents[0], learner.quantizer.decode(codes[:1, :1])[0])
    torch.testing.assert_close(out.latents[1], learner.quantizer.decode(codes[1:])[0])
    out.latents.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, torch.ones_like(x))


def test_perplexity() -> None:
    codes = torch.stack([torch.arange(64) % 32, torch.zeros(64, dtype=torch.int64)])
    torch.testing.assert_close(perplexity(codes, 32), torch.tensor([32.0, 1.0]))
