"""The adversary behind two calls: train it, and get the losses it gives the generator."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from audiodec.training.discriminators import Discriminators, Features


class AdversarialLoss(nn.Module):
    """Least-squares GAN with feature matching, summed over discriminators and their layers.

    Mao et al., "Least Squares Generative Adversarial Networks", 2017; feature matching: Kumar et
    al., "MelGAN", 2019.
    """

    def __init__(self, discriminators: Discriminators) -> None:
        super().__init__()
        self.discriminators = discriminators

    def generator(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Compute `adversarial` and `feature_matching`, for the generator's step.

        Args:
            output, target: waveforms, [batch, channels, samples].
        """
        with torch.no_grad():
            real = self.discriminators(target)
        fake = self.discriminators(output)
        return {
            "adversarial": _sum([(f[-1] - 1).square().mean() for f in fake]),
            "feature_matching": _sum([_matching(a, b) for a, b in zip(fake, real, strict=True)]),
        }

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Compute the discriminators' own loss: real ones to 1, made ones to 0."""
        real, fake = self.discriminators(target), self.discriminators(output.detach())
        return _sum(
            [
                (r[-1] - 1).square().mean() + f[-1].square().mean()
                for r, f in zip(real, fake, strict=True)
            ]
        )


def _matching(fake: Features, real: Features) -> Tensor:
    return _sum([functional.l1_loss(a, b) for a, b in zip(fake[:-1], real[:-1], strict=True)])


def _sum(terms: list[Tensor]) -> Tensor:
    return torch.stack(terms).sum()
