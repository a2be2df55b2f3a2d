"""Silence is not sent (DTX): a detector, and comfort noise after RFC 3389."""

from __future__ import annotations

import numpy as np

from audiodec.arrays import Samples
from audiodec.errors import FormatError

HANGOVER_S = 0.2  # seconds still sent after speech: word ends are quiet
SPEECH_ABOVE_FLOOR_DB = 8.0  # dB above the noise floor that count as speech
FLOOR_RISE_DB_PER_S = 3.0  # dB per second at which the floor follows a louder background
MAX_SILENCE_DBOV = -35.0  # dBov; what is louder is never silence
SURE_SILENCE_DBOV = -70.0  # dBov; what is quieter always is


def level(samples: Samples) -> float:
    """Measure the mean power in dBov: 0 is a full-scale square wave, -127 digital silence."""
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return max(-127.0, 10 * float(np.log10(max(power, 1e-13))))


class SilenceDetector:
    """Energy against a slowly rising noise floor.

    Args:
        period: seconds per block.
    """

    def __init__(self, period: float) -> None:
        self._period, self._floor, self._hang = (
            period,
            MAX_SILENCE_DBOV - SPEECH_ABOVE_FLOOR_DB,
            0.0,
        )

    def __call__(self, loudness: float) -> bool:
        """Whether the next block, of that many dBov, is silence."""
        self._floor = min(
            loudness,
            self._floor + FLOOR_RISE_DB_PER_S * self._period,
            MAX_SILENCE_DBOV - SPEECH_ABOVE_FLOOR_DB,
        )
        if loudness > max(self._floor + SPEECH_ABOVE_FLOOR_DB, SURE_SILENCE_DBOV):
            self._hang = HANGOVER_S
        else:
            self._hang -= self._period
        return self._hang <= 0


def describe(loudness: float) -> bytes:
    """Write a comfort-noise payload: one byte, the level in -dBov (RFC 3389, section 3.1)."""
    return bytes([round(min(127.0, max(0.0, -loudness)))])


def described(payload: bytes) -> float:
    """Read the dBov of a comfort-noise payload; spectral coefficients after the level are ignored.

    Raises:
        FormatError: no level, or one that does not exist.
    """
    if not 1 <= len(payload) <= 32 or payload[0] > 127:
        raise FormatError("a comfort-noise payload without a level")
    return -float(payload[0])


class ComfortNoise:
    """Noise of a given level, falling 6 dB per octave above 500 Hz as rooms do.

    Args:
        rate: Hz.
    """

    def __init__(self, rate: int, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        length = rate // 100
        taps = np.exp(-2 * np.pi * 500 / rate * np.arange(length))
        self._taps = (taps / np.sqrt(np.square(taps).sum())).astype(np.float32)
        self._past = np.zeros(length - 1, np.float32)
        self._gain = 0.0

    def __call__(self, count: int, loudness: float | None) -> Samples:
        """Give the next samples [count], gliding to that many dBov; None: to nothing."""
        gain = 0.0 if loudness is None else 10 ** (min(loudness, MAX_SILENCE_DBOV) / 20)
        white = self._random.standard_normal(count, np.float32)
        joined = np.concatenate([self._past, white])
        self._past = joined[count:]
        size = len(joined) + len(self._taps) - 1
        spectrum = np.fft.rfft(joined, size) * np.fft.rfft(self._taps, size)
        shaped = np.fft.irfft(spectrum, size)[len(self._taps) - 1 :][:count]
        ramp = np.linspace(self._gain, gain, count, dtype=np.float32)
        self._gain = gain
        return np.asarray(shaped * ramp, np.float32)

    @property
    def silent(self) -> bool:
        """Whether it has faded to nothing."""
        return self._gain == 0.0
