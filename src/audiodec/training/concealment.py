"""Training of the concealment network on codes alone: which frames are lost, and how wrong a guess
is. First in latents, which is cheap, then in what the frozen decoder makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audiodec.arrays import Codes
from audiodec.nn.concealment import ConcealmentNetwork
from audiodec.nn.network import Network
from audiodec.nn.quantizer import ResidualQuantizer
from audiodec.training.losses import SpectralLoss

WINDOW_FRAMES = 64  # of one example
HORIZON_FRAMES = 27  # from the last frame known, after which nobody could guess
AHEAD_FRAMES = 15  # at most, that a jitter buffer holds beyond the frame that is played
UNHEARD_FRAMES = 16  # at the start of a window: hardly any guess falls there
LATENT_SHARE = 0.45  # of the steps
LATENT_BATCH, SPECTRAL_BATCH = 48, 12  # windows
LEARNING_RATE, WARM_UP_STEPS = 2e-3, 50
MAX_GRADIENT = 2.0
SPECTRAL_WINDOWS = (512, 1024, 2048)  # samples
WEIGHTS = {"mel": 1.0, "complex": 2.0, "magnitude": 2.0}
LATENT_WEIGHT = 0.002  # in the spectral part: keeps guesses where the decoder knows its way


@dataclass(frozen=True)
class Examples:
    """Windows of speech with holes.

    Attributes:
        latents: all codebooks, [batch, dim, frames].
        partial: the codebooks that are known, the same shape.
        known: share of the codebooks that are, [batch, frames].
        guessed: frames whose guess counts, [batch, frames], bool.
    """

    latents: Tensor
    partial: Tensor
    known: Tensor
    guessed: Tensor


def draw_known(
    random: np.random.Generator, frames: int, codebooks: int, packets: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """How many codebooks of each frame of a window are known, and which guesses count.

    Packets are lost in runs; of some of them a coarse copy is there; beyond a moment, "now", only
    what the jitter buffer holds is known.

    Args:
        packets: frames in a packet, one of them drawn.
    """
    size = int(random.choice(packets))
    count = -(-frames // size)
    share, burst = random.uniform(0.05, 0.5), random.uniform(1, 6)
    lost = np.zeros(count, bool)
    bad = random.random() < share
    for n in range(count):
        lost[n] = bad
        bad = random.random() < (1 - 1 / burst if bad else share / (1 - share) / burst)
    base = codebooks if random.random() < 0.7 else random.integers(codebooks // 2, codebooks + 1)
    copy = int(random.integers(1, max(2, codebooks // 2) + 1)) if random.random() < 0.6 else 0
    copied = lost & (random.random(count) < 0.8)
    level = np.where(lost, np.where(copied, min(copy, base), 0), base).repeat(size)[:frames]
    now = int(random.integers(frames // 4, frames + 1)) // size * size
    held = 0 if random.random() < 0.4 else int(random.integers(1, AHEAD_FRAMES + 1)) // size * size
    level[now + held :] = 0
    at = np.arange(frames)
    since = at - np.maximum.accumulate(np.where(level > 0, at, -frames))
    guessed = (level < base) & (since <= HORIZON_FRAMES)
    return level, guessed


class Drawer:
    """Random windows of a corpus of codes.

    Args:
        recordings: codes of each, [codebooks, frames].
        quantizer: gives their latents.
        packets: frames in a packet, one of them drawn for a window.
    """

    def __init__(
        self, recordings: list[Codes], quantizer: ResidualQuantizer, packets: tuple[int, ...]
    ) -> None:
        self._codes = np.concatenate(recordings, axis=1).astype(np.int64)
        lengths = np.array([codes.shape[1] for codes in recordings])
        room = lengths - WINDOW_FRAMES
        starts = np.cumsum(lengths) - lengths
        self._starts = np.concatenate(
            [np.arange(start, start + n) for start, n in zip(starts, room, strict=True) if n > 0]
        )
        self._quantizer, self._packets = quantizer, packets

    @torch.no_grad()
    def __call__(self, random: np.random.Generator, batch: int) -> Examples:
        at = random.choice(self._starts, batch)[:, None] + np.arange(WINDOW_FRAMES)
        codes = self._codes[:, at].transpose(1, 0, 2)
        count = codes.shape[1]
        drawn = [draw_known(random, WINDOW_FRAMES, count, self._packets) for _ in range(batch)]
        level, guessed = (np.stack(part) for part in zip(*drawn, strict=True))
        partial = np.where(np.arange(count)[:, None] < level[:, None], codes, -1)
        return Examples(
            self._quantizer.decode(torch.from_numpy(codes)),
            self._quantizer.decode(torch.from_numpy(partial)),
            torch.from_numpy(level / count).float(),
            torch.from_numpy(guessed),
        )


class Teacher:
    """How wrong guesses are.

    Args:
        codec: whose codes and decoder they are for; frozen.
    """

    def __init__(self, codec: Network) -> None:
        self._decoder, c = codec.decoder.requires_grad_(False).eval(), codec.config
        self._losses = [SpectralLoss(size, c.sample_rate) for size in SPECTRAL_WINDOWS]
        self._top = c.sample_rate / 2

    @staticmethod
    def latent_error(guess: Tensor, examples: Examples) -> Tensor:
        """Mean distance of a guessed latent from the true one. Not squared: what cannot be guessed
        should not drown what can."""
        distance = ((guess - examples.latents).square().sum(1) + 1e-3).sqrt()
        return (distance * examples.guessed).sum() / examples.guessed.sum().clamp_min(1)

    def spectral_error(
        self, guess: Tensor, examples: Examples, random: np.random.Generator
    ) -> Tensor:
        """Distance between what the decoder makes of guesses and of the truth, at one resolution
        at random. Frames that are not to be guessed are the true ones."""
        filled = torch.where(examples.guessed[:, None], guess, examples.latents)
        with torch.no_grad():
            target = self._decoder(examples.latents[..., UNHEARD_FRAMES:])[:, 0]
        output = self._decoder(filled[..., UNHEARD_FRAMES:])[:, 0]
        loss = self._losses[random.integers(len(self._losses))]
        terms = loss(output, target, torch.full((len(output),), self._top))
        return torch.stack([WEIGHTS[name] * value for name, value in terms.items()]).sum()


def train(
    network: ConcealmentNetwork,
    codec: Network,
    recordings: list[Codes],
    packets: tuple[int, ...],
    steps: int,
    seed: int = 0,
    resume: dict[str, Any] | None = None,
) -> Iterator[tuple[int, str, float, dict[str, Any]]]:
    """Train in place: the first part in latents, the rest through the decoder.

    Args:
        recordings: codes of each, [codebooks, frames].
        packets: frames in a packet, one of them drawn for a window.
        steps: in all.
        resume: a state that this has given before.

    Yields:
        after each step: its number, "latent" or "spectral", the loss, and the state.
    """
    draw, teacher = Drawer(recordings, codec.quantizer, packets), Teacher(codec)
    optimizer = torch.optim.AdamW(
        network.parameters(), LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01
    )
    begin = 0
    if resume is not None:
        network.load_state_dict(resume["network"])
        optimizer.load_state_dict(resume["optimizer"])
        begin = int(resume["step"])
    for step in range(begin, steps):
        random = np.random.default_rng((seed, step))
        warm = min(1.0, (step + 1) / WARM_UP_STEPS)
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * warm * (1 - step / steps)
        if step < LATENT_SHARE * steps:
            kind, examples = "latent", draw(random, LATENT_BATCH)
            loss = teacher.latent_error(network(examples.partial, examples.known), examples)
        else:
            kind, examples = "spectral", draw(random, SPECTRAL_BATCH)
            guess = network(examples.partial, examples.known)
            loss = teacher.spectral_error(guess, examples, random)
            loss = loss + LATENT_WEIGHT * teacher.latent_error(guess, examples)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), MAX_GRADIENT)
        optimizer.step()
        state = {
            "network": network.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1,
        }  # fmt: skip
        yield step + 1, kind, float(loss.detach()), state
