"""Few voices, microphones and rooms made many: what a crop of speech may go through.

All of it happens to the codec's input and to its target alike; it is still speech to be coded.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from audiodec.arrays import Samples
from audiodec.dsp import cut, envelope, overlap_add
from audiodec.prepare.mixing import convolve
from audiodec.training.recipe import Perturbation

WINDOW, HOP = 1024, 256  # of the formant warp
MAX_WARP_NEPERS = 2.5  # nepers (22 dB) that the warp raises or lowers any frequency by
KNEE = 0.8  # of the band, above which the warp bends back to the band's edge
KNOTS = 9  # of the equaliser, from LOWEST_HZ to the Nyquist frequency, evenly in octaves
LOWEST_HZ = 60.0
EXTENSION_WINDOW_SAMPLES = 256
EXTENSION_SLOPE_DB = (0.0, 36.0)  # dB an octave


def draw(
    p: Perturbation, rate: int, bandwidth: float, random: np.random.Generator
) -> tuple[Callable[[Samples], Samples], float]:
    """Draw what one crop goes through: a function of [..., samples], and the bandwidth that it
    leaves.

    What a recipe does not ask for takes nothing from the random numbers.

    Args:
        rate: Hz.
        bandwidth: Hz up to which the crop holds anything; formants stay below.
    """

    def happens(share: float) -> bool:
        return share > 0 and random.random() < share

    steps: list[Callable[[Samples], Samples]] = []
    if bandwidth < rate / 2 and happens(p.extension_probability):
        edge, of_noise = bandwidth, int(random.integers(2**32))
        steps.append(lambda x: extend(x, edge, rate, np.random.default_rng(of_noise)))
        bandwidth = rate / 2
    if happens(p.formants_probability):
        factor, top = float(np.exp(random.uniform(*np.log(p.formants)))), bandwidth
        steps.append(lambda x: warp_formants(x, factor, rate, top))
    if happens(p.room_probability):
        response = room(float(random.uniform(*p.reverberation)), rate, random)
        response *= 10 ** (-random.uniform(*p.direct) / 20)
        steps.append(lambda x: x + convolve(x, response))
    if happens(p.equalizer_probability):
        gains = random.normal(0, p.equalizer, KNOTS)
        steps.append(lambda x: equalize(x, gains, rate))
    if happens(p.noise_probability):
        tilt, snr = float(random.uniform(0, 1)), float(random.uniform(*p.snr))
        seed = int(random.integers(2**32))
        steps.append(lambda x: x + coloured_noise(x, tilt, snr, np.random.default_rng(seed)))

    def perturb(x: Samples) -> Samples:
        level = np.sqrt(np.mean(x**2))
        y = x
        for step in steps:
            y = step(y)
        if y is x:
            return x
        return np.asarray(y * (level / max(float(np.sqrt(np.mean(y**2))), 1e-9)), np.float32)

    return perturb, bandwidth


def extend(samples: Samples, bandwidth: float, rate: int, random: np.random.Generator) -> Samples:
    """Extend to the Nyquist frequency speech that stops at `bandwidth` Hz; [..., samples].

    Above it comes noise with the envelope of the octave below, falling by a random slope, as the
    top of speech does: few recordings reach so high, and the codec must know what to do there.
    """
    length, size, hop = samples.shape[-1], EXTENSION_WINDOW_SAMPLES, EXTENSION_WINDOW_SAMPLES // 2
    steepness = random.uniform(*EXTENSION_SLOPE_DB)
    kept = lowpass(samples, bandwidth, rate)
    padding = [(0, 0)] * (samples.ndim - 1) + [(hop, hop + -length % hop)]
    window = np.sin(np.pi * (np.arange(size) + 0.5) / size)  # its square adds up to 1
    speech, noise = (
        np.fft.rfft(cut(np.pad(x, padding), size, hop) * window)
        for x in (kept, random.normal(size=samples.shape))
    )
    frequency = np.fft.rfftfreq(size, 1 / rate)
    octave = (frequency >= bandwidth / 2) & (frequency < bandwidth)
    level = np.sqrt(np.mean(np.abs(speech[..., octave]) ** 2, axis=-1, keepdims=True))
    slope = 10 ** (-steepness / 20 * np.log2(np.maximum(frequency, bandwidth) / bandwidth))
    made = noise * (level * slope / np.sqrt(size / 2))  # the window halves the noise's energy
    top = overlap_add(np.fft.irfft(made) * window, hop)[..., hop : hop + length]
    return np.asarray(kept + top - lowpass(top, bandwidth, rate), np.float32)


def warp_formants(samples: Samples, factor: float, rate: int, bandwidth: float) -> Samples:
    """Scale the frequencies of the spectral envelope and leave the pitch.

    The envelope is each frame's log spectrum without its fine structure (cepstral smoothing), the
    map of frequencies piecewise linear and fixed at the edge of the band, as in vocal tract length
    normalisation (Lee and Rose, 1998).

    Args:
        samples: [..., samples].
        factor: above 1 shortens the vocal tract.
    """
    length = samples.shape[-1]
    padding = [(0, 0)] * (samples.ndim - 1) + [(WINDOW, WINDOW + -length % HOP)]
    padded = np.pad(samples, padding)
    window = np.hanning(WINDOW + 1)[:-1].astype(np.float32)  # its square adds up to 1.5
    spectrum = np.fft.rfft(cut(padded, WINDOW, HOP) * window)
    smooth = envelope(spectrum, rate)
    frequency = np.fft.rfftfreq(WINDOW, 1 / rate)
    knee = KNEE * bandwidth * min(1.0, factor)
    source = np.interp(frequency, [0, knee, bandwidth], [0, knee / factor, bandwidth])
    source = np.where(frequency > bandwidth, frequency, source) / frequency[1]  # in bins
    low = np.minimum(source.astype(int), len(frequency) - 2)
    part = source - low
    warped = smooth[..., low] * (1 - part) + smooth[..., low + 1] * part
    gain = np.exp(np.clip(warped - smooth, -MAX_WARP_NEPERS, MAX_WARP_NEPERS))
    warped_samples = overlap_add(np.fft.irfft(spectrum * gain) * window / 1.5, HOP)
    return np.asarray(warped_samples[..., WINDOW : WINDOW + length], np.float32)


def equalize(samples: Samples, gains: NDArray[np.float64], rate: int) -> Samples:
    """Apply a zero-phase filter with these gains in dB at knots evenly apart in octaves."""
    length = samples.shape[-1]
    frequency = np.maximum(np.fft.rfftfreq(length, 1 / rate), LOWEST_HZ)
    knots = np.linspace(np.log(LOWEST_HZ), np.log(rate / 2), len(gains))
    curve = 10 ** (np.interp(np.log(frequency), knots, gains) / 20)
    return np.fft.irfft(np.fft.rfft(samples) * curve, length).astype(np.float32)


def room(seconds: float, rate: int, random: np.random.Generator) -> Samples:
    """Make the reverberant part of a room's response, with the energy of the direct sound.

    Noise that decays by 60 dB in so many seconds (Polack's model of late reverberation).
    """
    time = np.arange(1, round(seconds * rate)) / rate
    response = random.normal(size=len(time)) * 10 ** (-3 * time / seconds)
    return np.asarray(response / np.sqrt(np.sum(response**2)), np.float32)


def coloured_noise(
    samples: Samples, tilt: float, snr: float, random: np.random.Generator
) -> Samples:
    """Make stationary noise, so many dB below the samples' level; amplitude falls by f^-tilt."""
    length = samples.shape[-1]
    spectrum = np.fft.rfft(random.normal(size=samples.shape))
    spectrum *= np.maximum(np.arange(spectrum.shape[-1]), 1 + length // 1000) ** -tilt
    noise = np.fft.irfft(spectrum, length)
    level = np.sqrt(np.mean(samples**2) / np.mean(noise**2)) * 10 ** (-snr / 20)
    return np.asarray(noise * level, np.float32)


def lowpass(samples: Samples, cutoff: float, rate: int) -> Samples:
    """Remove what lies above `cutoff` Hz, with a fade over a twentieth of it; [..., samples]."""
    length = samples.shape[-1]
    frequency = np.fft.rfftfreq(length, 1 / rate)
    gain = np.clip((1.05 * cutoff - frequency) / (0.05 * cutoff), 0, 1)
    return np.fft.irfft(np.fft.rfft(samples) * gain, length).astype(np.float32)
