"""One direction of a call, from RTP packets to samples: whatever arrives, sound on every pull."""

from __future__ import annotations

from collections.abc import Sequence as Several
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np

from audiodec.arrays import Samples
from audiodec.bitstream.packet import Arrived, PacketFormat
from audiodec.errors import FormatError
from audiodec.rtp.jitter import CAPACITY_PACKETS, Action, Entry, JitterBuffer
from audiodec.rtp.packet import COMFORT_NOISE, COMPACT, MAX_DATAGRAM, SPEECH, RtpPacket, unwrap
from audiodec.rtp.payload import Form, Payload, from_bytes
from audiodec.rtp.sequence import Sequence
from audiodec.rtp.silence import ComfortNoise, described, level

ORIGINAL = MAX_DATAGRAM  # rank of a packet that is no copy: above that of any copy
REACH_PACKETS = 64  # packets after which a copy's distance no longer lengthens the buffer
AHEAD_PACKETS = 16  # after the one played, that help to guess what it lacks
QUIET_DB = 20.0  # dB below the loudest of late that hide a change of delay
SILENT_DBOV = -60.0  # dBov that always do
FORGET_DB_PER_S = 10.0  # dB per second by which the loudest of late falls


class PacketDecoder(Protocol):
    """What `session.Decoder` offers a receiver."""

    def decode(
        self, packet: bytes | None, /, *, coarse: bool = False, ahead: Several[bytes | None] = ()
    ) -> Samples:
        """Decode one packet to its audio, or conceal what is lost of it."""
        ...


@dataclass
class Counts:
    """What happened to packets and packet times since the start.

    Attributes:
        received: good packets of the agreed stream, without duplicates.
        invalid, foreign, duplicate, late: packets refused: damaged or hostile; of another
            stream; come twice; come after their time.
        played, recovered, concealed, noise: packet times filled from the packet itself, from a
            copy of it, from nothing, and with comfort noise.
        stretched, merged: packet times put in and left out to change the delay.
    """

    received: int = 0
    invalid: int = 0
    foreign: int = 0
    duplicate: int = 0
    late: int = 0
    played: int = 0
    recovered: int = 0
    concealed: int = 0
    noise: int = 0
    stretched: int = 0
    merged: int = 0

    def as_dict(self) -> dict[str, int]:
        """Give every count by its name."""
        return asdict(self)


@dataclass(frozen=True)
class Turn:
    """What one packet time is made of.

    Attributes:
        packets: to be decoded or concealed; two are cross-faded into one packet time.
        noise: dBov of the comfort noise on top; None: without.
    """

    packets: list[Arrived]
    noise: float | None


class Reception:
    """Datagrams in at any time; per packet time what is to be decoded, and the sound it makes.

    Decoding itself is left to the caller, who may do it for many streams at once. Memory is
    bounded.

    Args:
        format: What the stream was agreed to be.
        ssrc: Number of the agreed stream; no other is ever heard.
        first: Sequence number of its first packet, where that is agreed, too.
    """

    def __init__(self, format: PacketFormat, ssrc: int, first: int | None = None) -> None:
        self.ssrc, self.counts, self.sequence = ssrc, Counts(), Sequence(first)
        self.period = format.seconds
        self._format, self._size = format, format.samples
        self._noise = ComfortNoise(format.sample_rate)
        self._noise_level: float | None = None  # dBov, while the other end is silent
        self._loudest = self._newest = -127.0  # dBov, of what was played
        self._fade = np.linspace(0, 1, self._size, dtype=np.float32)
        self._reaches = [0] * REACH_PACKETS
        self._sent = 0  # bytes of the packet played last: a shorter copy is coarser
        self._restart()

    def _restart(self) -> None:
        self.buffer = JitterBuffer(self.period)
        self._origin: int | None = None  # timestamp of packet time 0, unwrapped
        self._stray: RtpPacket | None = None  # the last packet far from where playback is

    def receive(self, datagram: bytes, now: float) -> None:
        """Take a datagram that has come; hostile ones are counted, nothing else.

        Args:
            datagram: Its bytes.
            now: Seconds, by the clock that also drives the pulls.
        """
        try:
            packet = RtpPacket.parse(datagram)
            if packet.ssrc != self.ssrc:
                self.counts.foreign += 1
                return
            self._accept(packet, now)
        except FormatError:
            self.counts.invalid += 1

    def _accept(self, packet: RtpPacket, now: float) -> None:
        """Refuse, with FormatError and before anything has changed, a packet that is not to be
        used."""
        if packet.payload_type in (SPEECH, COMPACT):
            payload = from_bytes(packet.payload, self._format, Form(packet.payload_type))
        elif packet.payload_type == COMFORT_NOISE:
            described(packet.payload)
            payload = Payload(packet.payload, {})
        else:
            raise FormatError(f"payload type {packet.payload_type}")
        index = self._index(packet)
        if not self.sequence.receive(packet.sequence, now - index * self.period):
            self.counts.duplicate += 1
            return
        self.counts.received += 1
        self._reaches[self.counts.received % REACH_PACKETS] = max(payload.redundant, default=0)
        self.buffer.reach = max(self._reaches)
        entry = Entry(payload.packet, packet.payload_type == COMFORT_NOISE, ORIGINAL)
        if not self.buffer.arrive(index, entry, now):
            self.counts.late += 1
        for distance, copy in payload.redundant.items():
            self.buffer.offer(index - distance, Entry(copy, False, len(copy)))

    def _index(self, packet: RtpPacket) -> int:
        """Compute the packet time at which it was sent.

        Raises:
            FormatError: between packet times, or far from what is played now, unless two packets
                in a row say so: then the other end has begun anew, and so does this one.
        """
        if self._origin is None:
            self._origin = packet.timestamp
        near = self._origin + self.buffer.next * self._size
        index, off = divmod(unwrap(packet.timestamp, near, 32) - self._origin, self._size)
        known = not off and abs(index - self.buffer.next) < CAPACITY_PACKETS
        if known and self.sequence.plausible(packet.sequence):
            self._stray = None
            return index
        stray, self._stray = self._stray, packet
        if stray is None or (
            (packet.sequence - stray.sequence) & 0xFFFF,
            (packet.timestamp - stray.timestamp) & 0xFFFFFFFF,
        ) != (1, self._size):
            raise FormatError("a packet from another time")
        self._restart()
        self.sequence.restart()
        self._origin = packet.timestamp
        return 0

    def due(self, now: float) -> Turn:
        """Decide what the next packet time is made of; to be called once per packet time.

        Args:
            now: Seconds.
        """
        quiet = self._noise_level is not None or (
            self._newest < max(SILENT_DBOV, self._loudest - QUIET_DB)
        )
        action, entries = self.buffer.pull(now, quiet)
        if action is Action.MERGE:
            self.counts.merged += 1
        if not entries:
            self._count(action)
        ahead = tuple(
            None if entry is None or entry.noise else entry.data
            for entry in self.buffer.ahead(AHEAD_PACKETS)
        )
        packets = [self._play(entry, ahead) for entry in entries]
        return Turn(packets or [Arrived(None, ahead=ahead)], self._noise_level)

    def sound(self, turn: Turn, decoded: Several[Samples]) -> Samples:
        """Give the packet time of sound, [size], that became of a turn; to be called in their
        order.

        Args:
            turn: What `due` gave.
            decoded: The sound of each of its packets, [size].
        """
        audio = decoded[0]
        if len(decoded) == 2:
            audio = audio + (decoded[1] - audio) * self._fade
        if turn.noise is not None or not self._noise.silent:
            audio = audio + self._noise(self._size, turn.noise)
        self._newest = level(audio)
        self._loudest = max(self._newest, self._loudest - FORGET_DB_PER_S * self.period)
        return audio

    def _play(self, entry: Entry, ahead: tuple[bytes | None, ...]) -> Arrived:
        if entry.noise:
            self._noise_level = described(entry.data)
            self.counts.noise += 1
            return Arrived(None)
        self._noise_level = None
        if entry.rank == ORIGINAL:
            self.counts.played += 1
            self._sent = len(entry.data)
            return Arrived(entry.data)
        self.counts.recovered += 1
        return Arrived(entry.data, len(entry.data) < self._sent, ahead)

    def _count(self, action: Action) -> None:
        if action is Action.STRETCH:
            self.counts.stretched += 1
        elif action is Action.MISS and self._noise_level is None:
            self.counts.concealed += 1
        elif action is Action.MISS:
            self.counts.noise += 1


class Receiver(Reception):
    """A reception with a decoder of its own: one packet time of samples out per pull.

    Args:
        decoder: Decodes packets of that format, e.g. an `audiodec.Decoder`.
        format, ssrc, first: Like those of `Reception`.
    """

    def __init__(
        self, decoder: PacketDecoder, format: PacketFormat, ssrc: int, first: int | None = None
    ) -> None:
        super().__init__(format, ssrc, first)
        self._decoder = decoder

    def pull(self, now: float) -> Samples:
        """Give the next packet time of sound; to be called once per packet time.

        Args:
            now: Seconds.

        Returns:
            Sound in [-1, 1], float32, [size].
        """
        turn = self.due(now)
        decode = self._decoder.decode
        return self.sound(
            turn, [decode(own.packet, coarse=own.coarse, ahead=own.ahead) for own in turn.packets]
        )
