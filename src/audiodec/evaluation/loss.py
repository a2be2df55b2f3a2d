"""A call over a lossy network, simulated: the same packets lost for every codec."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audiodec.arrays import Samples
from audiodec.call.network import Link, every, gilbert_losses, run
from audiodec.codec import Codec
from audiodec.errors import ConfigError
from audiodec.evaluation.codecs import RATE, Opus
from audiodec.evaluation.metrics import align, score
from audiodec.evaluation.quality import Score, read_clip
from audiodec.rtp.control import Controller, Setting
from audiodec.rtp.payload import Payloader
from audiodec.rtp.receiver import Receiver
from audiodec.rtp.sender import Sender
from audiodec.sound.simulated import SimulatedClock

PACKET_S = 0.02  # seconds a packet, for every codec: so the same losses fall on the same speech
DELAY_S = 0.05  # seconds on the way, besides jitter
REPORT_EVERY_S = 1.0  # seconds between reports of the far end
PAUSE_S = 0.5  # seconds between clips
METRICS = ("PESQ-WB", "ESTOI", "PLCMOS")


@dataclass(frozen=True)
class Network:
    """What lies between both ends.

    Attributes:
        lost: of each packet; those beyond its end arrive.
        jitter: seconds; see `call.network.Link`.
    """

    lost: Sequence[bool]
    jitter: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Heard:
    """What came out at the far end.

    Attributes:
        audio: from the moment the first sample was spoken on.
        latency: seconds from mouth to ear, one for every `PACKET_S` of audio.
        sent: bytes of all payloads.
        counts: of the receiver, see `rtp.receiver.Counts`.
    """

    audio: Samples
    latency: list[float]
    sent: int
    counts: dict[str, int]


def over_network(
    codec: Codec, samples: Samples, bitrate: float, network: Network, adaptive: bool
) -> Heard:
    """Speak into a simulated call and listen at the far end.

    Args:
        adaptive: whether redundancy rides along as the far end reports losses.
    """
    frames = round(PACKET_S * codec.config.frame_rate)
    format = codec.config.packet_format(frames)
    size = format.samples
    encoder = codec.encoder(bitrate, 1, frames)
    sender = Sender(encoder, Payloader(format), 1, sequence=0, timestamp=0)
    receiver = Receiver(codec.decoder(frames), format, 1)
    controller, clock = Controller(codec.bitrates, bitrate), SimulatedClock()
    link = Link(clock, receiver.receive, DELAY_S, network.jitter, network.lost, seed=network.seed)
    blocks = iter(np.pad(samples, (0, -len(samples) % size)).reshape(-1, size))
    heard: list[Samples] = []
    latency: list[float] = []

    def speak() -> None:
        for datagram in sender.write(next(blocks, np.zeros(size, np.float32))):
            link.send(datagram)

    def listen() -> None:
        heard.append(receiver.pull(clock.now))
        latency.append(PACKET_S + DELAY_S + receiver.buffer.depth)

    def change(setting: Setting) -> None:
        sender.setting = setting

    def report() -> None:
        setting = controller.update(receiver.sequence.interval(), 2 * DELAY_S)
        clock.at(clock.now + DELAY_S, lambda: change(setting))

    every(clock, PACKET_S, speak, start=PACKET_S)  # complete when its last sample is spoken
    every(clock, PACKET_S, listen, start=PACKET_S / 2)
    if adaptive:
        sender.setting = controller.setting
        every(clock, REPORT_EVERY_S, report, start=REPORT_EVERY_S)
    run(clock, len(samples) / codec.sample_rate + 1)
    audio = np.concatenate([np.zeros(size // 2, np.float32), *heard])
    return Heard(audio, latency, sender.octets, receiver.counts.as_dict())


def measure(
    codec: Codec, bitrate: float, clips: Sequence[Path], losses: Sequence[float], burst: float,
    jitter: float,
) -> Iterator[Score]:  # fmt: skip
    """Measure one call of all clips per loss rate: ours without and with redundancy, and Opus with
    its in-band FEC at the same nominal rate, which jitter does not touch.

    Yields:
        a score per clip, loss rate and codec, named e.g. "10 % AudioDec 12 + redundancy"; the
        bitrate is that of the whole call.

    Raises:
        ConfigError: the model has another rate, several channels, or no whole number of frames
            in 20 ms.
    """
    frames = PACKET_S * codec.config.frame_rate
    if (codec.sample_rate, codec.channels) != (RATE, 1) or not np.isclose(frames, round(frames)):
        raise ConfigError(
            f"model {codec.info.id} is not for one channel of 48 kHz in whole frames of 20 ms"
        )
    names, pieces = [path.stem for path in clips], [read_clip(path) for path in clips]
    pause = np.zeros(round(PAUSE_S * RATE), np.float32)
    call = np.concatenate([part for piece in pieces for part in (piece, pause)])
    starts = np.cumsum([0, *(len(piece) + len(pause) for piece in pieces)])[:-1]
    for loss in losses:
        seed = round(1000 * loss)
        lost = gilbert_losses(round(len(call) / RATE / PACKET_S) + 100, loss, burst, seed)
        network = Network(lost, jitter, seed)
        opus, opus_sent = Opus(bitrate, False).over_losses(call, lost, loss)
        straight = [0.0] * (len(call) * 50 // RATE + 1)
        results = {
            f"AudioDec {bitrate:g}": over_network(codec, call, bitrate, network, False),
            f"AudioDec {bitrate:g} + redundancy": over_network(codec, call, bitrate, network, True),
            f"Opus auto {bitrate:g} + FEC": Heard(opus, straight, opus_sent, {}),
        }
        for name, heard in results.items():
            kbps = heard.sent * 8 * RATE / len(call) / 1000
            for clip, piece, start in zip(names, pieces, starts, strict=True):
                late = heard.latency[int((start + len(piece) / 2) / RATE / PACKET_S)]
                begin = start + round(late * RATE)
                original, decoded, lag = align(piece, heard.audio[begin:][: len(piece)], RATE)
                values = score(original, decoded, RATE, METRICS)
                yield Score(f"{loss:.0%} {name}", clip, kbps, lag, values)
