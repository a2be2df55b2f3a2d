"""Speech made over into a whisper, a shout and a song, where there are no recordings of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import soxr
from numpy.typing import NDArray

from audiodec.arrays import Samples
from audiodec.dsp import cut, envelope, overlap_add
from audiodec.evaluation.metrics.pitch import STEP_S, track

Curve = NDArray[np.floating]

WINDOW, HOPS = 0.0213, 4  # seconds, and hops in one
UNVOICED_S = 0.01  # seconds between grains where there is no pitch
MAJOR = np.array([0, 2, 4, 5, 7, 9, 11])  # semitones


def whisper(samples: Samples, rate: int, random: np.random.Generator) -> Samples:
    """Whisper the same words: noise through the vocal tract instead of a voice.

    As the signal processing that Cotescu et al. compare with (*Voice conversion for whispered
    speech synthesis*, 2020): the pitch goes, the spectral envelope stays. What was voiced becomes
    20 dB quieter and loses the glottal pulse's slope (6 dB an octave from 300 Hz on, 12 at most).

    Args:
        samples: [samples] at `rate` Hz.

    Returns:
        [samples]

    Raises:
        MissingExtraError: no pitch tracker is installed.
    """
    size = HOPS * round(WINDOW * rate / HOPS)
    hop, window = size // HOPS, np.hanning(size + 1)[:-1]
    padding = (size, size + -len(samples) % hop)
    noise = random.standard_normal(len(samples) + sum(padding))
    speech, breath = (
        np.fft.rfft(cut(x, size, hop) * window) for x in (np.pad(samples, padding), noise)
    )
    tract = envelope(speech, rate)
    seconds = (np.arange(len(tract)) * hop + size / 2 - padding[0]) / rate
    voiced = _at(track(samples, rate), seconds) > 0
    decibels = _slope(np.fft.rfftfreq(size, 1 / rate), 300, 6, 12) - 20
    tract[voiced] += decibels * np.log(10) / 20
    pieces = np.fft.irfft(breath * np.exp(tract) / np.sqrt(np.sum(window**2)), size) * window
    whole = overlap_add(pieces, hop) / 1.5  # what the squared windows add up to
    return whole[size : size + len(samples)].astype(np.float32)


def shout(samples: Samples, rate: int) -> Samples:
    """Shout the same words, at the top of the voice and at full scale.

    What Raitio et al. measured (*Analysis and synthesis of shouted speech*, 2013), roughly: pitch
    higher by 60 %, formants by 10 %, a flatter spectrum (4 dB an octave from 500 Hz on, 12 at
    most) and less between loud and soft (2 : 1).

    Args, returns and raises: as `whisper`.
    """
    raised = _overlap_add(samples, rate, track(samples, rate), lambda f0, _: 1.6 * f0, formants=1.1)
    frequency = np.fft.rfftfreq(len(raised), 1 / rate)
    bright = np.fft.rfft(raised) * 10 ** (_slope(frequency, 500, 4, 12) / 20)
    flat = np.fft.irfft(bright, len(raised))
    width = round(0.02 * rate)
    power = np.convolve(flat**2, np.hanning(width) / np.hanning(width).sum(), "same")[: len(flat)]
    loudness = np.sqrt(np.maximum(power, 1e-3 * power.max() + 1e-12))  # 30 dB down: a pause
    loud = flat / np.sqrt(loudness)
    return np.asarray(loud / max(float(np.abs(loud).max()), 1e-9), np.float32)


def sing(samples: Samples, rate: int) -> Samples:
    """Sing the first half of the words at half the speed, on the notes of a major scale.

    After Saitou et al. (*Speech-to-singing synthesis*, 2007): the speaker's melody, raised by a
    fourth, goes to the nearest notes, with glides between them and a vibrato of 5.5 Hz and half a
    semitone; vowels get longer.

    Args, returns and raises: as `whisper`.
    """
    f0 = track(samples, rate)
    notes = _notes(f0)

    def pitch(_: float, seconds: float) -> float:
        vibrato = np.sin(2 * np.pi * 5.5 * seconds) / 24  # octaves
        return float(_at(notes, seconds / 2) * 2**vibrato)

    return _overlap_add(samples, rate, f0, pitch, speed=0.5)


def _notes(f0: Curve) -> Curve:
    """Compose a melody in Hz for a pitch track, [frames], also between what is voiced."""
    if not f0.any():
        return f0
    frames, voiced = np.arange(len(f0)), np.flatnonzero(f0)
    tonic = np.median(f0[voiced])
    spoken = 5 + 12 * np.log2(np.interp(frames, voiced, f0[voiced]) / tonic)
    phrase, glide = round(0.15 / STEP_S), 2  # frames on each side
    spoken = np.median(cut(np.pad(spoken, phrase, "edge"), 2 * phrase + 1, 1), axis=1)
    scale = (MAJOR + 12 * np.arange(-3, 4)[:, None]).ravel()
    sung = scale[np.abs(spoken[:, None] - scale).argmin(axis=1)].astype(float)
    sung = cut(np.pad(sung, glide, "edge"), 2 * glide + 1, 1).mean(axis=1)
    return np.asarray(tonic * 2 ** (sung / 12))


def _overlap_add(
    samples: Samples, rate: int, f0: Curve, pitch: Callable[[float, float], float],
    speed: float = 1.0, formants: float = 1.0,
) -> Samples:  # fmt: skip
    """Another pitch by overlapping grains of two periods.

    TD-PSOLA (Moulines and Charpentier, 1990).

    Args:
        samples: [samples].
        f0: their pitch track.
        pitch: of what is made, in Hz: a function of the pitch there was and of the seconds since
            the start of what is made. Asked only where there is a voice.
        speed: of the words; what is made is as long as `samples`.
        formants: factor on their frequencies: the grains are played faster.
    """
    marks, periods = _marks(samples, rate, f0)
    source = np.asarray(soxr.resample(samples, rate, rate / formants), np.float64)
    made = np.zeros(len(samples))
    at = 0.0
    while at < len(made):
        i = int(np.searchsorted(marks, at * speed).clip(0, len(marks) - 1))
        half = round(periods[i] / formants)
        grain = _cut(source, round(marks[i] / formants) - half, 2 * half) * np.hanning(2 * half)
        start = round(at) - half
        from_, to = max(start, 0), min(start + 2 * half, len(made))
        made[from_:to] += grain[from_ - start : to - start]
        voice = float(_at(f0, at * speed / rate))
        at += rate / pitch(voice, at / rate) if voice else rate * UNVOICED_S
    return np.asarray(made / max(1.0, float(np.abs(made).max())), np.float32)


def _marks(samples: Samples, rate: int, f0: Curve) -> tuple[Curve, Curve]:
    """Find samples where the glottis closes, or evenly apart without a voice, and the periods
    there."""
    polarity = 1 if np.mean(samples**3) >= 0 else -1
    marks, periods = [0.0], [rate * UNVOICED_S]
    while marks[-1] < len(samples):
        voice = float(_at(f0, marks[-1] / rate))
        period = rate / voice if voice else rate * UNVOICED_S
        place = marks[-1] + period
        if voice:
            reach = round(0.2 * period)
            near = _cut(polarity * samples, round(place) - reach, 2 * reach)
            place = round(place) - reach + int(near.argmax())
        marks.append(float(place))
        periods.append(period)
    return np.array(marks), np.array(periods)


def _cut(samples: NDArray[np.floating], start: int, length: int) -> NDArray[np.floating]:
    """Cut a piece of [samples], with zeros beyond the ends."""
    piece = samples[max(start, 0) : max(start + length, 0)]
    before = min(max(-start, 0), length)
    return np.pad(piece, (before, length - before - len(piece)))


def _at(curve: Curve, seconds: float | Curve) -> Curve:
    """Values of a track at these moments."""
    frames = np.rint(np.asarray(seconds) / STEP_S).astype(int)
    return np.asarray(curve[frames.clip(0, len(curve) - 1)])


def _slope(frequency: Curve, start: float, octave: float, most: float) -> Curve:
    """Gain in dB that rises from a frequency on (Hz), by so much an octave, up to a limit."""
    return np.clip(octave * np.log2(np.maximum(frequency, 1) / start), 0, most)
