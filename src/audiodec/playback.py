"""Decoding of parallel streams, and what is heard in place of what was lost."""

from __future__ import annotations

import numpy as np

from audiodec.runtime.base import Codes, Runtime, Samples

FADE = 0.06  # seconds in which concealment fades to silence
RECOVER = 0.005  # seconds in which the first packet after a loss fades back in


class Playback:
    """Codes of parallel streams in, audio out, with concealment of what is missing."""

    def __init__(self, runtime: Runtime, batch: int) -> None:
        self._runtime, self._config, self._batch = runtime, runtime.info.codec, batch
        self._state = runtime.decoder_state(batch)
        self._last: Codes | None = None  # the newest frame received, [batch, codebooks, 1]
        self._gain = 1.0  # where concealment has faded to

    def play(self, codes: Codes) -> Samples:
        """Codes [batch, codebooks, frames] -> audio [batch, channels, frames * hop]."""
        self._last = codes[..., -1:]
        audio = self._step(codes)
        if self._gain < 1:
            ramp = min(audio.shape[2], round(RECOVER * self._config.sample_rate))
            audio[..., :ramp] *= np.linspace(self._gain, 1, ramp, dtype=np.float32)
            self._gain = 1.0
        return audio

    def conceal(self, frames: int) -> Samples:
        """Audio [batch, channels, frames * hop] in place of lost frames; silence before the
        first."""
        samples = frames * self._config.hop
        if self._last is None:
            return np.zeros((self._batch, self._config.channels, samples), np.float32)
        audio = self._step(np.repeat(self._last, frames, axis=2))
        fade = np.arange(1, samples + 1, dtype=np.float32) / (FADE * self._config.sample_rate)
        gain = np.maximum(self._gain - fade, 0)
        self._gain = float(gain[-1])
        faded: Samples = np.asarray(audio * gain, np.float32)
        return faded

    def _step(self, codes: Codes) -> Samples:
        audio, self._state = self._runtime.decode(codes, self._state)
        return np.clip(audio, -1, 1)
