"""Sound files to break: every format, in memory."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import soundfile

from audiodec.audio_files.mpeg import _frame

RATE, SECONDS = 16000, 2


@cache
def sound(channels: int = 1) -> np.ndarray:
    """Noise in bursts, so that a variable rate varies; [samples, channels]."""
    random, time = np.random.default_rng(0), np.arange(RATE * SECONDS)[:, None] / RATE
    tone = 0.2 * np.sin(2 * np.pi * 220 * time * (1 + np.arange(channels)))
    noise = 0.2 * random.normal(size=(len(time), channels)) * (np.sin(9 * time) > 0.3)
    return (tone + noise).clip(-0.9, 0.9)


@cache
def coded(kind: str, subtype: str | None = None, channels: int = 1, rate: int = RATE) -> bytes:
    """The sound as libsndfile writes it. Raises what soundfile raises."""
    out = io.BytesIO()
    soundfile.write(out, sound(channels), rate, format=kind, subtype=subtype)
    return out.getvalue()


def with_flac_total(data: bytes, samples: int) -> bytes:
    """FLAC whose header says that it has so many samples; 0 is: unknown."""
    at = data.index(b"fLaC") + 8 + 13
    fields = bytes([data[at] & 0xF0 | samples >> 32]) + (samples & 0xFFFF_FFFF).to_bytes(4, "big")
    return data[:at] + fields + data[at + 5 :]


def frames_of_mp3(data: bytes) -> list[int]:
    """Where the frames of an MP3 begin, the tag's own with them."""
    at, found = data.index(b"\xff\xf3"), list[int]()
    while frame := _frame(data[at : at + 4]):
        found.append(at)
        at += frame.length
    return found


def without_tag(data: bytes) -> bytes:
    """An MP3 without the first frame, which counts the others."""
    return data[frames_of_mp3(data)[1] :]
