"""The network that guesses lost frames from what is known around them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from audiodec.nn.layers import RMSNorm
from audiodec.nn.spectral import FeedForward, linear

FARTHEST_FRAMES = 48  # distances beyond it count alike


class Filter(nn.Module):
    """One filter per channel that sees as far ahead as back, [batch, frames, channels]. Starts as
    the identity plus noise."""

    def __init__(self, channels: int, kernel: int, dilation: int) -> None:
        super().__init__()
        weight = 0.2 * torch.randn(channels, 1, kernel) / kernel**0.5
        weight[:, :, kernel // 2] += 1
        self.weight, self.dilation = nn.Parameter(weight), dilation

    def forward(self, x: Tensor) -> Tensor:
        reach = self.weight.shape[2] // 2 * self.dilation
        padded = functional.pad(x.transpose(1, 2), (reach, reach))
        y: Tensor = functional.conv1d(
            padded, self.weight, dilation=self.dilation, groups=x.shape[2]
        )
        return y.transpose(1, 2)


class Attention(nn.Module):
    """Every frame looks at all others: speech repeats itself a few periods of its pitch apart.

    Vaswani et al., "Attention is all you need", 2017; with a learned bias per head and distance
    instead of positions (Shaw et al., 2018), so that a window may begin anywhere.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project, self.merge = linear(width, 3 * width), linear(width, width, scale=0.3)
        self.bias = nn.Parameter(torch.zeros(heads, 2 * FARTHEST_FRAMES + 1))

    def forward(self, x: Tensor) -> Tensor:
        batch, frames, width = x.shape
        parts = self.project(x).view(batch, frames, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        at = torch.arange(frames, device=x.device)
        distance = (at[None] - at[:, None]).clamp(-FARTHEST_FRAMES, FARTHEST_FRAMES)
        bias = self.bias[:, distance + FARTHEST_FRAMES]
        score = query @ key.transpose(2, 3) * (width // self.heads) ** -0.5 + bias
        seen = score.softmax(-1) @ value
        merged: Tensor = self.merge(seen.transpose(1, 2).reshape(batch, frames, width))
        return merged


class Block(nn.Module):
    """x + W2 SiLU(W1 filter(norm(x))), and before it, where there are heads, x + attention."""

    def __init__(self, width: int, heads: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.looks = nn.Sequential(RMSNorm(width), Attention(width, heads)) if heads else None
        self.thinks = nn.Sequential(
            RMSNorm(width),
            Filter(width, kernel, dilation),
            FeedForward(linear(width, 2 * width), linear(2 * width, width, scale=0.3)),
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.looks is not None:
            x = x + self.looks(x)
        y: Tensor = x + self.thinks(x)
        return y


class ConcealmentNetwork(nn.Module):
    """Quantized latents of a window with holes -> the same without.

    It has no memory: what it guesses depends on the window alone, so a stream is concealed alike
    wherever decoding began, and a frame that was received is never changed.

    Args:
        dim: values of a latent.
        spread: standard deviation of each, [dim].
        width: channels of the blocks.
        heads: of the attention of each block, 0 for none; one block each.
    """

    spread: Tensor

    def __init__(
        self, dim: int, spread: Tensor, width: int = 96, heads: tuple[int, ...] = (0, 4, 0, 4)
    ) -> None:
        super().__init__()
        self.register_buffer("spread", spread)
        self.expand = linear(dim + 2, width)
        self.blocks = nn.Sequential(*(Block(width, count, 5, 1 if count else 2) for count in heads))
        self.contract = nn.Sequential(RMSNorm(width), linear(width, dim, scale=0.1))

    def forward(self, latents: Tensor, known: Tensor) -> Tensor:
        """Guess what was lost.

        Args:
            latents: of the codebooks that are known, their mean taken off, [batch, dim, frames];
                zeros where none is.
            known: share of all codebooks that are, [batch, frames], 0 to 1.

        Returns:
            latents [batch, dim, frames]; meant for the frames that are not wholly known.
        """
        x = latents.transpose(1, 2)
        given = torch.stack([known, (known > 0).to(known.dtype)], dim=2)
        y = self.blocks(self.expand(torch.cat([x / self.spread, given], dim=2)))
        guess: Tensor = x + self.contract(y) * self.spread
        return guess.transpose(1, 2)
