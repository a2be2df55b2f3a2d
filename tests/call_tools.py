"""A codec whose sound tells which packet it came from, and calls through it in simulated time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np

from audiodec.bitstream.packet import PacketFormat
from audiodec.call.network import Link, every, run
from audiodec.rtp.control import Controller
from audiodec.rtp.payload import Payloader
from audiodec.rtp.receiver import Receiver
from audiodec.rtp.sender import Sender
from audiodec.sound.simulated import SimulatedClock

RATE, SIZE, FRAMES, BITS, CODEBOOKS = 4800, 96, 3, 10, 8  # 20 ms a packet, as usual
FORMAT = PacketFormat(FRAMES, CODEBOOKS, BITS, SIZE // FRAMES, RATE)
PERIOD = FORMAT.seconds
BITRATES = [1.5 * n for n in range(1, CODEBOOKS + 1)]
SSRC = 7


class CountingEncoder:
    """Numbers its packets, modulo 1024, in the first code: every copy holds it too."""

    def __init__(self) -> None:
        self.bitrate, self.count = BITRATES[-1], 0

    def write(self, samples: np.ndarray) -> list[bytes]:
        assert len(samples) == SIZE
        num_codebooks = BITRATES.index(self.bitrate) + 1
        number = self.count
        self.count += 1
        bits = f"{number % 1024:010b}".ljust(FRAMES * num_codebooks * BITS, "0")
        packed = int(bits, 2) << (-len(bits) % 8)
        return [packed.to_bytes((len(bits) + 7) // 8, "big")]


class CountingDecoder:
    """Notes the number of every packet played, None for concealment; its sound is silence."""

    def __init__(self, keep: bool = True) -> None:
        self.played: list[int | None] = []
        self._keep, self._audio = keep, np.zeros(SIZE, np.float32)

    def decode(
        self, packet: bytes | None, *, coarse: bool = False, ahead: Sequence[bytes | None] = ()
    ) -> np.ndarray:
        if self._keep:
            number = None if packet is None else int.from_bytes(packet[:2], "big") >> 6
            self.played.append(number)
        return self._audio


def fake_codec() -> SimpleNamespace:
    return SimpleNamespace(
        info=SimpleNamespace(id="counting-1", weights_hash=b"counting"),
        config=SimpleNamespace(packet_format=lambda frames: replace(FORMAT, frames=frames)),
        sample_rate=RATE,
        channels=1,
        hop=SIZE // FRAMES,
        bitrates=BITRATES,
        encoder=lambda bitrate, beam_width, frames: CountingEncoder(),
        decoder=lambda frames: CountingDecoder(),
    )


@dataclass
class OneWay:
    """Speaker, link and listener; the speaker's clock is `ppm` fast.

    Attributes:
        depths: seconds of buffer, once a second.
    """

    network: dict[str, object] = field(default_factory=dict)
    adaptive: bool = False
    ppm: float = 0.0
    dtx: bool = False
    sequence: int = 0
    timestamp: int = 0
    keep: bool = True

    def __post_init__(self) -> None:
        self.clock, self.decoder = SimulatedClock(), CountingDecoder(self.keep)
        self.receiver = Receiver(self.decoder, FORMAT, SSRC)
        self.sender = Sender(
            CountingEncoder(), Payloader(FORMAT), SSRC, self.dtx,
            self.sequence, self.timestamp,
        )  # fmt: skip
        self.controller = Controller(BITRATES, BITRATES[-1], PERIOD)
        self.link = Link(self.clock, self.receiver.receive, **self.network)  # type: ignore[arg-type]
        self.block = np.zeros(SIZE, np.float32)
        self.speaking = True
        self.depths: list[float] = []
        self.heard: Callable[[np.ndarray], object] = lambda audio: None
        every(self.clock, PERIOD * (1 - self.ppm * 1e-6), self._speak)
        every(self.clock, PERIOD, lambda: self.heard(self.receiver.pull(self.clock.now)), 0.007)
        every(self.clock, 1.0, self._second, 1.0)

    def run(self, until: float) -> OneWay:
        run(self.clock, until)
        return self

    def _speak(self) -> None:
        if self.speaking:
            for datagram in self.sender.write(self.block):
                self.link.send(datagram)

    def _second(self) -> None:
        self.depths.append(self.receiver.buffer.depth)
        if self.adaptive:
            heard = self.receiver.sequence
            self.sender.setting = self.controller.update(heard.interval(), 0.1, heard.burst)
