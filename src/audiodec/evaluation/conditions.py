"""What may happen to speech before a codec hears it, and what may come instead of speech.

Every condition is made of a clean recording, as long as that, and within full scale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soxr

from audiodec.arrays import Samples
from audiodec.evaluation.resynthesis import shout, sing, whisper
from audiodec.prepare.mixing import Mixer
from audiodec.prepare.rooms import simulate

# Of clean speech [samples], its rate in Hz and random numbers.
Condition = Callable[[Samples, int, np.random.Generator], Samples]

ROOMS = 8
TELEPHONE_HZ, BAND_HZ = 8000, (300, 3400)
MU = 255  # of G.711's mu-law


def conditions(
    rate: int, voices: Sequence[Samples], noise: Path | None = None, music: Path | None = None
) -> dict[str, Condition]:
    """Make the conditions, by name.

    Args:
        rate: Hz.
        voices: who may talk at the same time; nobody does unless there are two.
        noise, music: folders of recordings; what needs them is left out without.

    Raises:
        AudioError, ConfigError: a folder holds no audio, or what cannot be read.
        MissingExtraError: no simulator of rooms is installed.
    """
    found: dict[str, Condition] = {
        "clean": lambda x, rate, random: x,
        "quiet (-40 dB)": lambda x, rate, random: x * np.float32(0.01),
        "full scale": lambda x, rate, random: full_scale(x),
        "clipped (12 dB over)": lambda x, rate, random: clipped(x, 12),
        "DC offset of 0.1": lambda x, rate, random: within(x + np.float32(0.1)),
        "telephone (G.711)": lambda x, rate, random: telephone(x, rate),
        "in a room (simulated)": rooms(rate),
    }
    if noise is not None:
        for snr in (15.0, 5.0):
            found[f"noise, {snr:g} dB below"] = mixed(Mixer.of(rate, [noise], None, (snr, snr), 0))
    if len(voices) > 1:
        found["two talkers"] = lambda x, rate, random: two_talkers(x, voices, random)
    found |= {
        "whisper (resynthesised)": lambda x, rate, random: within(whisper(x, rate, random)),
        "shout (resynthesised)": lambda x, rate, random: shout(x, rate),
        "song (resynthesised)": lambda x, rate, random: sing(x, rate),
    }
    if music is not None:
        player = Mixer.of(rate, [music], None, (0, 0), 0)
        found["music"] = lambda x, rate, random: within(player.stretch(len(x), random))
    return found | {
        "noise of -80 dBFS": lambda x, rate, random: white(len(x), -80, random),
        "silence": lambda x, rate, random: np.zeros_like(x),
    }


def full_scale(samples: Samples) -> Samples:
    """Scale [samples] so that the loudest of them is 1 or -1; silence stays."""
    return np.asarray(samples / max(float(np.abs(samples).max()), 1e-9), np.float32)


def within(samples: Samples) -> Samples:
    """Make [samples] quieter where they would exceed full scale."""
    return np.asarray(samples / max(float(np.abs(samples).max()), 1.0), np.float32)


def clipped(samples: Samples, over: float) -> Samples:
    """Record [samples] so many dB too loud: flat where they would exceed full scale."""
    return np.asarray(np.clip(full_scale(samples) * 10 ** (over / 20), -1, 1), np.float32)


def telephone(samples: Samples, rate: int) -> Samples:
    """Send [samples] through a telephone line: 300 to 3400 Hz, 8 kHz, mu-law of 8 bits (ITU-T
    G.711; its continuous curve), and back to `rate` Hz."""
    narrow = soxr.resample(samples, rate, TELEPHONE_HZ)
    spectrum = np.fft.rfft(narrow)
    frequency = np.fft.rfftfreq(len(narrow), 1 / TELEPHONE_HZ)
    spectrum[(frequency < BAND_HZ[0]) | (frequency > BAND_HZ[1])] = 0
    band = within(np.fft.irfft(spectrum, len(narrow)).astype(np.float32))
    compressed = np.sign(band) * np.log1p(MU * np.abs(band)) / np.log1p(MU)
    coarse = np.rint(compressed * 127) / 127
    expanded = np.sign(coarse) * np.expm1(np.abs(coarse) * np.log1p(MU)) / MU
    wide = soxr.resample(expanded, TELEPHONE_HZ, rate)[: len(samples)]
    return within(np.pad(wide, (0, len(samples) - len(wide))))


def white(samples: int, decibels: float, random: np.random.Generator) -> Samples:
    """Make white noise [samples] of so many dBFS (of its RMS)."""
    return (random.standard_normal(samples) * 10 ** (decibels / 20)).astype(np.float32)


def two_talkers(
    samples: Samples, voices: Sequence[Samples], random: np.random.Generator
) -> Samples:
    """Mix [samples] with another of the voices, equally loud, for as long as the first."""
    others = [voice for voice in voices if voice is not samples]
    other = np.resize(others[int(random.integers(len(others)))], len(samples))
    gain = np.sqrt(np.mean(samples**2) / max(float(np.mean(other**2)), 1e-12))
    return within(samples + other * gain)


def rooms(rate: int) -> Condition:
    """Put speech in one of eight rooms, RT60 0.15 to 0.7 s (image source method).

    Raises:
        MissingExtraError: no simulator is installed.
    """
    responses = [r[int(np.abs(r).argmax()) :] for r in simulate(ROOMS, rate, seed=0)]
    return mixed(Mixer(rate, [], [r / r[0] for r in responses], (0, 0), 1))


def mixed(mixer: Mixer) -> Condition:
    """Give what the mixer makes of speech, within full scale."""
    return lambda x, rate, random: within(mixer(x[None], random)[0])
