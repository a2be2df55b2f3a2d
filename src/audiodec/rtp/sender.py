"""One direction of a call, from samples to RTP packets."""

from __future__ import annotations

import secrets
from typing import Protocol

import numpy as np

from audiodec.arrays import Samples
from audiodec.rtp.control import Setting
from audiodec.rtp.packet import COMFORT_NOISE, RtpPacket
from audiodec.rtp.payload import NIBBLE, Payloader
from audiodec.rtp.silence import SilenceDetector, describe, level

DESCRIBE_EVERY_S = 0.4  # seconds between descriptions of silence


class PacketEncoder(Protocol):
    """What `session.Encoder` offers a sender."""

    bitrate: float

    def write(self, samples: Samples, /) -> list[bytes]:
        """Add samples; returns the packets now complete."""
        ...


class Sender:
    """Write any number of samples, get the RTP packets they complete.

    Args:
        encoder: Gives one packet of the payloader's format for the samples of one, e.g. an
            `audiodec.Encoder`.
        payloader: Puts packets, and copies of earlier ones, into payloads.
        ssrc: The stream's number, by which a receiver knows it (RFC 3550).
        dtx: Whether to send almost nothing in silence.
        sequence, timestamp: Of the first packet; random, as RFC 3550 asks, when not given.

    Attributes:
        first: Sequence number of the first packet.
        packets, octets: Packets sent so far, and the bytes of their payloads.
        timestamp: Of the next packet, in samples.
    """

    def __init__(
        self, encoder: PacketEncoder, payloader: Payloader, ssrc: int,
        dtx: bool = False, sequence: int | None = None, timestamp: int | None = None,
    ) -> None:  # fmt: skip
        self.ssrc, self.packets, self.octets = ssrc, 0, 0
        self._encoder, self._payloader, format = encoder, payloader, payloader.format
        self._size = format.samples
        # In the lower half: a loss at the first wrap would leave the two ends' roll-over counters
        # (RFC 3711, section 3.3.1) apart, and nothing would be authentic any more.
        self.first = secrets.randbelow(1 << 15) if sequence is None else sequence
        self.timestamp = secrets.randbelow(1 << 32) if timestamp is None else timestamp
        self._waiting = np.zeros(0, np.float32)
        self._silence = SilenceDetector(format.seconds) if dtx else None
        self._every = max(1, round(DESCRIBE_EVERY_S / format.seconds))
        self._silent_for = 0  # packet times

    @property
    def setting(self) -> Setting:
        """Bitrate (kbps, one of the model's) and copies; may be changed between packets."""
        return Setting(self._encoder.bitrate, self._payloader.redundancy)

    @setting.setter
    def setting(self, setting: Setting) -> None:
        if setting.bitrate != self._encoder.bitrate:
            self._encoder.bitrate = setting.bitrate
        self._payloader.redundancy = setting.redundancy

    def write(self, samples: Samples) -> list[bytes]:
        """Add samples, and get the RTP packets now due, oldest first.

        Args:
            samples: Sound in [-1, 1], float32, [n] of any number.
        """
        waiting = np.concatenate([self._waiting, samples]) if self._waiting.size else samples
        whole = len(waiting) // self._size * self._size
        self._waiting = waiting[whole:].copy()
        packets = []
        for start in range(0, whole, self._size):
            packets += self._send(waiting[start : start + self._size])
        return packets

    def skip(self, count: int) -> None:
        """Let time pass unheard: it goes on, though nothing is sent.

        Args:
            count: Packet times.
        """
        self.timestamp += count * self._size
        for _ in range(min(count, NIBBLE)):
            self._payloader.skip()

    def _send(self, block: Samples) -> list[bytes]:
        (packet,) = self._encoder.write(block)  # in silence too: its state must know the past
        loudness = level(block) if self._silence else 0.0
        silent = self._silence is not None and self._silence(loudness)
        if silent:
            self._payloader.skip()
            due = self._silent_for % self._every == 0
            self._silent_for += 1
            sent = [self._packet(COMFORT_NOISE, describe(loudness), False)] if due else []
        else:
            resumed, self._silent_for = self._silent_for > 0, 0
            sent = [self._packet(self._payloader.form, self._payloader(packet), resumed)]
        self.timestamp += self._size
        return sent

    def _packet(self, kind: int, payload: bytes, marker: bool) -> bytes:
        sequence = self.first + self.packets
        packet = RtpPacket(kind, sequence, self.timestamp, self.ssrc, payload, marker)
        self.packets += 1
        self.octets += len(payload)
        return packet.to_bytes()
