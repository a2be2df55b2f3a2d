"""Decoding of parallel streams, and what is heard in place of what was lost."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audiodec.arrays import Codes, Samples
from audiodec.config import CodecConfig
from audiodec.runtime.base import Runtime

FADE_OUT_S = 0.06  # in which concealment fades to silence
FADE_IN_S = 0.005  # in which the first packet after a loss comes back
Rows = NDArray[np.intp]


class Concealment:
    """What is heard in place of lost packets: the last frame received, fading to silence. The
    first packet after a loss fades back in.

    Args:
        streams: independent of each other; rows of what is kept for them.
    """

    def __init__(self, config: CodecConfig, streams: int) -> None:
        self._rate = config.sample_rate
        self._last = np.full((streams, config.quantizer.codebooks), -1, np.int64)
        self._gain = np.ones(streams, np.float32)  # where it has faded to

    def reset(self, rows: Rows) -> None:
        """Let new streams begin in these rows."""
        self._last[rows] = -1
        self._gain[rows] = 1

    def fill(self, rows: Rows, codes: Codes, lost: NDArray[np.bool_]) -> Codes:
        """Put the last frame in place of the packets that were lost.

        Args:
            codes: a packet of each stream, [len(rows), codebooks, frames]; -1 where one is absent.
            lost: which of them are not there, [len(rows)].
        """
        if lost.any():
            codes = np.where(lost[:, None, None], self._last[rows, :, None], codes)
        self._last[rows] = codes[..., -1]
        return codes

    def fade(self, rows: Rows, audio: Samples, lost: NDArray[np.bool_]) -> Samples:
        """Bring the same packets decoded, [len(rows), channels, samples], to the level they should
        have."""
        before = self._gain[rows, None]
        if not lost.any() and (before == 1).all():
            return audio
        at = np.arange(1, audio.shape[2] + 1, dtype=np.float32)
        fading = np.maximum(before - at / (FADE_OUT_S * self._rate), 0)
        ramp = min(len(at), round(FADE_IN_S * self._rate))
        rising = np.minimum(before + (1 - before) * (at - 1) / max(ramp - 1, 1), 1)
        gain = np.where(lost[:, None], fading, rising)
        self._gain[rows] = np.where(lost, gain[:, -1], 1)
        return np.asarray(audio * gain[:, None], np.float32)


class Playback:
    """Codes of parallel streams in, audio out, with concealment of what all of them miss."""

    def __init__(self, runtime: Runtime, batch: int) -> None:
        self._runtime, self._config, self._batch = runtime, runtime.info.codec, batch
        self._state = runtime.decoder_state(batch)
        self._concealment, self._rows = Concealment(self._config, batch), np.arange(batch)
        self._started = False

    def play(self, codes: Codes) -> Samples:
        """Decode codes [batch, codebooks, frames] to audio [batch, channels, frames * hop]."""
        self._started = True
        absent = self._config.quantizer.codebooks - codes.shape[1]
        whole = np.pad(codes, ((0, 0), (0, absent), (0, 0)), constant_values=-1)
        return self._step(whole, lost=False)

    def conceal(self, frames: int) -> Samples:
        """Make audio [batch, channels, frames * hop] in place of lost frames; silence before the
        first."""
        if not self._started:
            shape = (self._batch, self._config.channels, frames * self._config.hop)
            return np.zeros(shape, np.float32)
        nothing = np.full((self._batch, self._config.quantizer.codebooks, frames), -1, np.int64)
        return self._step(nothing, lost=True)

    def _step(self, codes: Codes, lost: bool) -> Samples:
        gone = np.full(self._batch, lost)
        codes = self._concealment.fill(self._rows, codes, gone)
        audio, self._state = self._runtime.decode(codes, self._state)
        return self._concealment.fade(self._rows, np.clip(audio, -1, 1), gone)
