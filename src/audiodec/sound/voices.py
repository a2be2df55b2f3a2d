"""Where the voices of a call come from and go to: files, microphones, loudspeakers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import soxr

from audiodec.arrays import Samples
from audiodec.audio_files.reading import Audio, open_audio
from audiodec.sound.devices import AudioDevice
from audiodec.sound.drift import DelayControl, Resampler
from audiodec.sound.ring import RING_S, Ring

READ_SAMPLES = 4096  # samples of a file at once
MAX_SLEPT_S = 0.2  # seconds of sound above the usual that are kept


class FileSource:
    """The voice of an audio file, resampled and mixed to mono; paced by who reads it."""

    live = False

    def __init__(self, audio: Audio, rate: int) -> None:
        self._audio = audio
        self._resample = soxr.ResampleStream(audio.rate, rate, 1, dtype="float32")
        self._waiting, self._ended = np.zeros(0, np.float32), False

    @property
    def warnings(self) -> tuple[str, ...]:
        """Lines that say what is wrong with the file, so far as it has been read."""
        return self._audio.warnings

    @property
    def missing_seconds(self) -> float:
        """That the file should hold but does not."""
        return self._audio.missing_seconds

    def read(self, count: int) -> Samples | None:
        while len(self._waiting) < count and not self._ended:
            piece = self._audio.read(READ_SAMPLES)
            self._ended = len(piece) < READ_SAMPLES
            mono = piece.mean(axis=1)
            resampled = self._resample.resample_chunk(np.clip(mono, -1, 1), self._ended)
            self._waiting = np.append(self._waiting, resampled)
        if not len(self._waiting):
            return None
        block, self._waiting = self._waiting[:count], self._waiting[count:]
        return np.pad(block, (0, count - len(block)))


@contextmanager
def file_source(path: str, rate: int) -> Iterator[FileSource]:
    """Open a file to speak from. Raises AudioError when it cannot be read."""
    with open_audio(path) as audio:
        yield FileSource(audio, rate)


class Muted:
    """Nobody speaks, nobody hears: one direction of a call without sound."""

    live = True

    def read(self, count: int) -> Samples:
        return np.zeros(count, np.float32)

    def write(self, samples: Samples) -> None:
        """Drop the samples: sound goes nowhere."""


def _delay(device: AudioDevice, step: float) -> float:
    """Seconds of sound to keep between a device and the call: one step of the call's, one block of
    the device's, and one more block because neither is punctual."""
    return step + 2 * device.block / device.rate


class Microphone:
    """The voice of a sound device, by the call's clock.

    Args:
        step: seconds between reads.
    """

    live = True

    def __init__(self, device: AudioDevice, step: float) -> None:
        self._device, self._step, delay = device, step, _delay(device, step)
        self._ring = Ring(round(RING_S * device.rate))
        self._control, self._resample = DelayControl(delay), Resampler()
        self._waiting = np.zeros(round(delay * device.rate), np.float32)
        self._most = round((delay + MAX_SLEPT_S) * device.rate)

    def start(self) -> None:
        """Begin to hear. Raises AudioError when the device refuses."""
        self._device.start(self._heard)

    def stop(self) -> None:
        self._device.stop()

    def _heard(self, block: Samples) -> None:
        self._ring.write(block)

    def read(self, count: int) -> Samples:
        """Give the next [count] samples; silence in place of what the device has not delivered."""
        heard = np.empty(len(self._ring), np.float32)
        heard = heard[: self._ring.read(heard)]
        ratio = self._control.update(len(self._waiting) / self._device.rate, self._step)
        waiting = np.append(self._waiting, self._resample(heard, ratio))
        # When the call has slept, what was said meanwhile is lost rather than late for ever.
        self._waiting = waiting[max(0, len(waiting) - self._most) :]
        block, self._waiting = self._waiting[:count], self._waiting[count:]
        return np.pad(block, (0, count - len(block)))


class Loudspeaker:
    """A sound device that plays by the call's clock.

    Args:
        step: seconds between writes.
    """

    def __init__(self, device: AudioDevice, step: float) -> None:
        self._device, self._step, delay = device, step, _delay(device, step)
        self._ring = Ring(round(RING_S * device.rate))
        self._ring.write(np.zeros(round(delay * device.rate), np.float32))
        self._control, self._resample = DelayControl(delay), Resampler()

    def start(self) -> None:
        """Begin to sound. Raises AudioError when the device refuses."""
        self._device.start(self._fill)

    def stop(self) -> None:
        self._device.stop()

    def _fill(self, block: Samples) -> None:
        block[self._ring.read(block) :] = 0

    def write(self, samples: Samples) -> None:
        """Take samples [n]; what does not fit is dropped, what resampling lifts above full scale
        is clipped."""
        ratio = self._control.update(len(self._ring) / self._device.rate, self._step)
        self._ring.write(np.clip(self._resample(samples, ratio), -1, 1))
