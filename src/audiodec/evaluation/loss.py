"""A call over a lossy network, simulated: the same packets lost for every codec."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audiodec.arrays import Samples
from audiodec.call.network import Link, every, gilbert_losses, run
from audiodec.codec import Codec
from audiodec.errors import ConfigError, FormatError
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
DELAY = "delay ms"  # a column beside the metrics


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
        seconds: in which they were sent.
        counts: of the receiver, see `rtp.receiver.Counts`.
    """

    audio: Samples
    latency: list[float]
    sent: int
    seconds: float
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
    controller, clock = Controller(codec.bitrates, bitrate, format.seconds), SimulatedClock()
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
        loss, burst = receiver.sequence.interval(), receiver.sequence.burst
        setting = controller.update(loss, 2 * DELAY_S, burst)
        clock.at(clock.now + DELAY_S, lambda: change(setting))

    every(clock, PACKET_S, speak, start=PACKET_S)  # complete when its last sample is spoken
    every(clock, PACKET_S, listen, start=PACKET_S / 2)
    if adaptive:
        sender.setting = controller.setting
        every(clock, REPORT_EVERY_S, report, start=REPORT_EVERY_S)
    run(clock, seconds := len(samples) / codec.sample_rate + 1)
    audio = np.concatenate([np.zeros(size // 2, np.float32), *heard])
    return Heard(audio, latency, sender.octets, seconds, receiver.counts.as_dict())


@dataclass(frozen=True)
class Pattern:
    """Which packets are lost.

    Attributes:
        name: for tables.
        lost: of each packet; those beyond its end arrive.
        seed: of the jitter that comes with it.
    """

    name: str
    lost: Sequence[bool]
    seed: int = 0

    @property
    def share(self) -> float:
        """Of packets lost, 0 to 1."""
        return float(np.mean(self.lost)) if len(self.lost) else 0.0

    @property
    def burst(self) -> float:
        """Mean number of packets lost in a row; 0: none is lost."""
        edges = np.diff(np.asarray(self.lost, np.int8), prepend=0)
        return float(np.sum(self.lost) / max(1, np.sum(edges == 1)))


def gilbert_pattern(loss: float, burst: float, seconds: float) -> Pattern:
    """Make a seeded pattern of the Gilbert model.

    Args:
        loss: share of packets lost.
        burst: mean number of packets lost in a row.
    """
    seed = round(1000 * loss)
    lost = gilbert_losses(round(seconds / PACKET_S) + 100, loss, burst, seed)
    return Pattern(f"{loss:.0%}" + (f" x{burst:g}" if loss else ""), lost, seed)


def read_trace(path: Path) -> Pattern:
    """Read a recorded pattern: a text file, 0 for each packet of 20 ms that came, 1 for each lost.

    Raises:
        FormatError: it cannot be read, or has anything but 0, 1 and white space.
    """
    try:
        marks = "".join(path.read_text(encoding="ascii").split())
    except (OSError, ValueError) as error:
        raise FormatError(f"trace {path} cannot be read: {error}") from None
    if not marks or set(marks) - {"0", "1"}:
        raise FormatError(f"trace {path} must have 0 or 1 for each packet, and nothing else")
    return Pattern(path.stem, [mark == "1" for mark in marks])


@dataclass(frozen=True)
class Speech:
    """Clips said one after the other, with pauses between them.

    Attributes:
        names, pieces: of the clips.
        starts: of each, in samples.
        call: all of it.
    """

    names: list[str]
    pieces: list[Samples]
    starts: list[int]
    call: Samples

    @classmethod
    def read(cls, clips: Sequence[Path]) -> Speech:
        """Read clips. Raises AudioError when one cannot be."""
        pieces = [read_clip(path) for path in clips]
        pause = np.zeros(round(PAUSE_S * RATE), np.float32)
        call = np.concatenate([part for piece in pieces for part in (piece, pause)])
        starts = np.cumsum([0, *(len(piece) + len(pause) for piece in pieces)])[:-1]
        return cls([path.stem for path in clips], pieces, starts.tolist(), call)

    @property
    def seconds(self) -> float:
        return len(self.call) / RATE


def measure(
    codec: Codec, bitrate: float, speech: Speech, patterns: Sequence[Pattern], jitter: float,
    metrics: Sequence[str] = METRICS,
) -> Iterator[Score]:  # fmt: skip
    """Measure one call of all clips per pattern: ours without and with redundancy, and Opus with
    its in-band FEC at the same nominal rate, which jitter does not touch.

    Yields:
        a score per clip, pattern and codec, named e.g. "10% x3 AudioDec 12 + redundancy"; its
        group is the pattern. The bitrate is that of the whole call. Beside the metrics: `DELAY`,
        from mouth to ear; not for Opus, which has no jitter buffer here.

    Raises:
        ConfigError: the model has another rate, several channels, or no whole number of frames
            in 20 ms.
    """
    frames = PACKET_S * codec.config.frame_rate
    if (codec.sample_rate, codec.channels) != (RATE, 1) or not np.isclose(frames, round(frames)):
        raise ConfigError(
            f"model {codec.info.id} is not for one channel of 48 kHz in whole frames of 20 ms"
        )
    for pattern in patterns:
        for family, heard in _calls(codec, bitrate, speech.call, pattern, jitter):
            kbps = heard.sent * 8 / heard.seconds / 1000
            for name, piece, start in zip(speech.names, speech.pieces, speech.starts, strict=True):
                turn = int((start + len(piece) / 2) / RATE / PACKET_S)
                late = heard.latency[turn] if heard.latency else 0.0
                begin = start + round(late * RATE)
                original, decoded, lag = align(piece, heard.audio[begin:][: len(piece)], RATE)
                values = score(original, decoded, RATE, metrics)
                values[DELAY] = 1000 * late if heard.latency else None
                yield Score(
                    f"{pattern.name} {family}", name, kbps, lag, values, family, bitrate,
                    labels={"group": pattern.name},
                )  # fmt: skip


def _calls(
    codec: Codec, bitrate: float, call: Samples, pattern: Pattern, jitter: float
) -> Iterator[tuple[str, Heard]]:
    network = Network(pattern.lost, jitter, pattern.seed)
    for adaptive, what in ((False, ""), (True, " + redundancy")):
        yield f"AudioDec {bitrate:g}{what}", over_network(codec, call, bitrate, network, adaptive)
    opus, sent = Opus(bitrate, False).over_losses(call, pattern.lost, pattern.share)
    yield f"Opus auto {bitrate:g} + FEC", Heard(opus, [], sent, len(call) / RATE, {})
