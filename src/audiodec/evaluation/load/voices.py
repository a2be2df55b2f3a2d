"""What clients of a load test say, and what has to come back to them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from audiodec.arrays import Samples
from audiodec.bitstream.packet import PacketFormat
from audiodec.codec import Codec
from audiodec.serve.pcm import to_pcm

NOISE_RMS = 0.1  # root mean square of what is said; full scale is 1


@dataclass(frozen=True)
class Voice:
    """A sound that is nobody else's, coded here by itself.

    Attributes:
        format: of its packets.
        sound: messages of 16-bit sound, a packet's worth each.
        packets: what a server has to make of them.
        decoded: [samples], what it has to make of the packets.
        foreign: packets of all other voices.
    """

    format: PacketFormat
    sound: list[bytes]
    packets: list[bytes]
    decoded: Samples
    foreign: frozenset[bytes] = frozenset()


def make_voices(codec: Codec, count: int, seconds: float, frames: int) -> list[Voice]:
    """Make so many voices of noise, each other's like in nothing but loudness."""
    format = codec.info.codec.packet_format(frames)
    size = format.samples
    packets = int(seconds * codec.sample_rate / size)
    voices = []
    for number in range(count):
        noise = np.random.default_rng(number).normal(0, NOISE_RMS, packets * size)
        pcm = to_pcm(noise.astype(np.float32)[None], "s16")
        heard = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
        coded = codec.encoder(None, 1, frames).write(heard)
        decoder = codec.decoder(frames)
        decoded = np.concatenate([decoder.decode(packet) for packet in coded])
        sound = [pcm[i : i + 2 * size] for i in range(0, len(pcm), 2 * size)]
        voices.append(Voice(format, sound, coded, decoded))
    return [
        replace(
            own, foreign=frozenset(p for each in voices if each is not own for p in each.packets)
        )
        for own in voices
    ]
