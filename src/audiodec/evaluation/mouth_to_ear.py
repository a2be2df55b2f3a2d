"""Mouth-to-ear latency between simulated sound devices: a chirp goes in, and is found again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audiodec.arrays import Samples
from audiodec.codec import Codec
from audiodec.sound.loop import LiveLoop
from audiodec.sound.simulated import (
    SimulatedClock,
    SimulatedLoudspeaker,
    SimulatedMicrophone,
    simulate,
)

BLOCK_SAMPLES = (64, 128, 240, 256, 480)
ALIGNMENTS = 4  # of the loudspeaker's blocks to the microphone's
MAX_LATENCY_S = 0.5  # seconds of latency that are looked for
ALLOWED_MS = 1.0  # ms beyond algorithmic latency and one block each way


@dataclass(frozen=True)
class Budget:
    """One row of the table; times in ms.

    Attributes:
        block: samples that a device takes or gives at once.
        capture, playback: a block each: a sample waits until its block is full, a decoded one
            until the next block is asked for.
        frame: until the sample's frame is full; the algorithmic latency.
        encode, decode: processing, median, measured on this machine while it ran.
        processing: of both, as simulated.
        network, jitter_buffer: none between two ends in one process.
        mouth_to_ear: from the chirp's capture to its sounding, the worst of several alignments.
        limit: frame + capture + playback + 1 ms.
        missing: silence that sounded because a frame came too late.
    """

    block: int
    capture: float
    frame: float
    encode: float
    network: float
    jitter_buffer: float
    decode: float
    processing: float
    playback: float
    mouth_to_ear: float
    limit: float
    missing: float


def measure(
    codec: Codec, blocks: tuple[int, ...] = BLOCK_SAMPLES, processing: float | None = None
) -> list[Budget]:
    """Send a chirp through the codec for each block size.

    Args:
        processing: ms that coding and decoding a packet take in simulated time; if not given, what
            they take on this machine now.
    """
    _, _, encode, decode = _run(codec, blocks[0], 0, 0)
    simulated = encode + decode if processing is None else processing
    rows = []
    for block in blocks:
        runs = [_run(codec, block, simulated, n / ALIGNMENTS) for n in range(ALIGNMENTS)]
        worst, missing = max(run[0] for run in runs), max(run[1] for run in runs)
        waiting, frame = (1000 * n / codec.sample_rate for n in (block, codec.hop))
        limit = frame + 2 * waiting + ALLOWED_MS
        times = (encode, 0.0, 0.0, decode, simulated, waiting, worst, limit, missing)
        rows.append(Budget(block, waiting, frame, *times))
    return rows


def chirp(rate: int) -> Samples:
    """Make a second from 200 Hz to 4 kHz, with silence around it, [samples]."""
    time = np.arange(rate) / rate
    sweep = 0.5 * np.sin(2 * np.pi * (200 * time + 1900 * time**2))
    return np.pad(sweep, (rate // 10, rate // 5)).astype(np.float32)


def lag(sent: Samples, heard: Samples, most: int) -> int:
    """Count samples by which `heard` is later, 0 to `most`: the peak of the cross-correlation."""
    size = 1 << (len(sent) + len(heard)).bit_length()
    product = np.fft.rfft(heard, size) * np.fft.rfft(sent, size).conj()
    return int(np.argmax(np.fft.irfft(product, size)[: most + 1]))


def _run(codec: Codec, block: int, processing: float, alignment: float) -> tuple[float, ...]:
    """Mouth-to-ear, missing, encode and decode medians, in ms."""
    clock, rate = SimulatedClock(), codec.sample_rate
    sent = chirp(rate)
    microphone = SimulatedMicrophone(clock, rate, block, sound=sent)
    loudspeaker = SimulatedLoudspeaker(clock, rate, block, start=alignment * block / rate)
    loop = LiveLoop(codec, microphone, loudspeaker, clock=clock)
    simulate(clock, loop, processing / 1000)
    late = lag(sent, loudspeaker.sounded(), round(MAX_LATENCY_S * rate))
    figures = loop.snapshot()
    return (
        1000 * (late / rate + loudspeaker.begin - microphone.begin), figures.missing_ms,
        figures.encode_ms.median, figures.decode_ms.median,
    )  # fmt: skip
