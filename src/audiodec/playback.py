"""Decoding of parallel streams, and what is heard in place of what was lost."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audiodec.arrays import Codes, Samples
from audiodec.runtime.base import Runtime

PAST_FRAMES, AHEAD_FRAMES = 20, 9  # around lost frames, from which they are guessed
PIECE_FRAMES = 24  # guessed at once
HOLD_S = 0.1  # for which guesses are as loud as they come; none where frames are only repeated
FADE_OUT_S = 0.06  # in which concealment then fades to silence
FADE_IN_S = 0.005  # in which the first packet after a loss comes back
Rows = NDArray[np.intp]
Lost = NDArray[np.bool_]


class Concealment:
    """What is heard in place of lost packets.

    A model with a concealment graph guesses their latents from what is known around them: frames
    before, coarse copies, and packets after the gap that have already come. A model without
    repeats its last frame. Where a gap lasts, its sound fades to silence; the first packet after
    it fades back in.

    Args:
        streams: independent of each other; rows of what is kept for them.
    """

    def __init__(self, runtime: Runtime, streams: int) -> None:
        self._runtime, config = runtime, runtime.info.codec
        self._guess, self._rate = runtime.concealment, config.sample_rate
        self._quantizer, self._hop = config.quantizer, config.hop
        dim = self._quantizer.dim
        # Of the frames before, only what was received: guesses are never built on guesses.
        self._past = np.zeros((streams, dim, PAST_FRAMES), np.float32)
        self._known = np.zeros((streams, PAST_FRAMES), np.float32)
        self._last = np.zeros((streams, dim), np.float32)  # latents decoded last
        self._gap = np.zeros(streams, np.int64)  # samples heard since something was known

    def reset(self, rows: Rows) -> None:
        """Let new streams begin in these rows."""
        for kept in (self._past, self._known, self._last, self._gap):
            kept[rows] = 0

    def fill(
        self, rows: Rows, codes: Codes, incomplete: Lost, ahead: Codes | None = None
    ) -> Samples:
        """Give the latents of a packet of each stream, what is lost filled in.

        Args:
            codes: [len(rows), codebooks, frames]; -1 where one is absent.
            incomplete: which packets are lost, wholly or but for a coarse copy, [len(rows)].
            ahead: what has come of the packets after, [len(rows), codebooks, any frames].

        Returns:
            [len(rows), dim, frames].
        """
        frames = codes.shape[2]
        # What is absent is marked, not left out: streams of a batch are guessed as they are alone.
        window = np.pad(codes, ((0, 0), (0, 0), (0, AHEAD_FRAMES)), constant_values=-1)
        if ahead is not None:
            near = ahead[..., :AHEAD_FRAMES]
            window[..., frames : frames + near.shape[2]] = near
        latents = self._runtime.dequantize(window)
        known = (window >= 0).mean(1, dtype=np.float32)
        filled = latents[..., :frames].copy()
        for start in range(0, frames, PIECE_FRAMES):
            end = min(start + PIECE_FRAMES, frames)
            beyond = end + AHEAD_FRAMES
            if incomplete.any():
                filled[incomplete, :, start:end] = self._fill(
                    rows[incomplete],
                    latents[incomplete, :, start:beyond],
                    known[incomplete, start:beyond],
                    end - start,
                    start * self._hop,
                )
            self._keep(rows, latents[..., start:end], known[:, start:end])
            self._last[rows] = filled[..., end - 1]
        return filled

    def _fill(
        self, rows: Rows, latents: Samples, known: Samples, frames: int, later: int
    ) -> Samples:
        """Fill the first frames of incomplete packets, `later` samples after their beginning."""
        last = np.broadcast_to(self._last[rows, :, None], (*latents.shape[:2], frames))
        lost = known[:, None, :frames] == 0
        repeated: Samples = np.where(lost, last, latents[..., :frames])
        if self._guess is None:
            return repeated
        heard = (self._gain(self._gap[rows] + later) > 0) | ~lost.all((1, 2))
        if not heard.any():
            return repeated
        around = np.concatenate([self._past[rows], latents], axis=2)
        shares = np.concatenate([self._known[rows], known], axis=1)
        guess = self._guess(around[heard], shares[heard])
        repeated[heard] = np.where(
            known[heard, None, :frames] < 1,
            guess[..., PAST_FRAMES : PAST_FRAMES + frames],
            latents[heard, :, :frames],
        )
        return repeated

    def _keep(self, rows: Rows, latents: Samples, known: Samples) -> None:
        self._past[rows] = np.concatenate([self._past[rows], latents], axis=2)[..., -PAST_FRAMES:]
        self._known[rows] = np.concatenate([self._known[rows], known], axis=1)[:, -PAST_FRAMES:]

    def _gain(self, gap: NDArray[np.int64]) -> Samples:
        """Say how loud concealment is, so many samples into a gap."""
        hold = HOLD_S * self._rate if self._guess else 0.0
        gain = 1 - (gap - hold) / (FADE_OUT_S * self._rate)
        return np.asarray(np.clip(gain, 0, 1), np.float32)

    def gains(self, rows: Rows, samples: int, lost: Lost) -> Samples:
        """Say how loud the same packets should be, [len(rows), samples]; to be asked once for each.

        Args:
            samples: of each.
            lost: which of them are lost wholly, [len(rows)].
        """
        gap = self._gap[rows, None]
        if not lost.any() and not gap.any():
            return np.ones((len(rows), samples), np.float32)
        at = np.arange(1, samples + 1)
        ramp = min(len(at), round(FADE_IN_S * self._rate))
        before = self._gain(gap)
        rising = np.minimum(before + (1 - before) * (at - 1) / max(ramp - 1, 1), 1)
        gain = np.where(lost[:, None], self._gain(gap + at), rising)
        self._gap[rows] = np.where(lost, gap[:, 0] + samples, 0)
        return gain.astype(np.float32)


class Playback:
    """Codes of parallel streams in, audio out, with concealment of what all of them miss."""

    def __init__(self, runtime: Runtime, batch: int) -> None:
        self._runtime, self._config, self._batch = runtime, runtime.info.codec, batch
        self._state = runtime.decoder_state(batch)
        self._concealment, self._rows = Concealment(runtime, batch), np.arange(batch)
        self._started = False

    def play(self, codes: Codes, coarse: bool = False, ahead: Codes | None = None) -> Samples:
        """Decode a packet of each stream.

        Args:
            codes: [batch, codebooks, frames].
            coarse: the codebooks that are absent were lost.
            ahead: what has come of the packets after, [batch, codebooks, frames]; -1 where absent.

        Returns:
            audio, [batch, channels, frames * hop].
        """
        self._started = True
        absent = self._config.quantizer.codebooks - codes.shape[1]
        whole = np.pad(codes, ((0, 0), (0, absent), (0, 0)), constant_values=-1)
        return self._step(whole, coarse, False, ahead)

    def conceal(self, frames: int, ahead: Codes | None = None) -> Samples:
        """Make audio [batch, channels, frames * hop] in place of lost frames; silence before the
        first. `ahead` is that of `play`."""
        if not self._started:
            shape = (self._batch, self._config.channels, frames * self._config.hop)
            return np.zeros(shape, np.float32)
        nothing = np.full((self._batch, self._config.quantizer.codebooks, frames), -1, np.int64)
        return self._step(nothing, True, True, ahead)

    def _step(self, codes: Codes, incomplete: bool, lost: bool, ahead: Codes | None) -> Samples:
        latents = self._concealment.fill(self._rows, codes, np.full(self._batch, incomplete), ahead)
        audio, self._state = self._runtime.decode_quantized(latents, self._state)
        gain = self._concealment.gains(self._rows, audio.shape[2], np.full(self._batch, lost))
        return np.asarray(np.clip(audio, -1, 1) * gain[:, None], np.float32)
