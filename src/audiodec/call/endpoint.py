"""One end of a call, without sockets, threads or clocks: datagrams, samples, times in and out."""

from __future__ import annotations

import secrets
from typing import Any, Protocol

import numpy as np

from audiodec.call.handshake import SIZE, Handshake
from audiodec.errors import ConfigError, FormatError
from audiodec.rtp.control import Controller
from audiodec.rtp.packet import MAX_DATAGRAM, is_rtcp
from audiodec.rtp.payload import MAX_FRAMES, MAX_PAYLOAD, Payloader
from audiodec.rtp.receiver import PacketDecoder, Receiver
from audiodec.rtp.rtcp import Report, goodbye, is_goodbye, middle
from audiodec.rtp.sender import PacketEncoder, Sender
from audiodec.rtp.srtp import Guard, Srtp, Unguarded
from audiodec.runtime.base import Samples

GREET = 0.2  # seconds between hellos
REPORT = 1.0  # seconds between reports
PATIENCE = 10.0  # seconds without an authentic packet after which the other end is gone


class Speech(Protocol):
    """What `session.Codec` offers an endpoint."""

    info: Any
    config: Any
    sample_rate: int
    channels: int
    hop: int
    bitrates: list[float]

    def encoder(
        self, bitrate: float | None, beam_width: int, frames_per_packet: int, /
    ) -> PacketEncoder: ...

    def decoder(self, frames_per_packet: int, /) -> PacketDecoder: ...


class Endpoint:
    """One end of a call between two.

    Args:
        codec: one channel; both ends need the same model.
        secret: 32 bytes that both ends hold; None: nothing is encrypted.
        bitrate: kbps, the highest to use; copies add to it.
        frames: in every packet.
        dtx: send almost nothing in silence.

    Attributes:
        rate: Hz.
        size, period: samples and seconds of a packet: the step of `write` and `pull`.
        connected: both ends know each other.
        left: the other end's stream has ended, or it is gone.
        gone: it is gone without a word.

    Raises:
        ConfigError: the model has several channels, or packets would not fit a datagram.
    """

    def __init__(
        self, codec: Speech, secret: bytes | None = None, bitrate: float | None = None,
        frames: int = 3, dtx: bool = False,
    ) -> None:  # fmt: skip
        q = codec.config.quantizer
        if codec.channels != 1:
            raise ConfigError(f"a call has one channel, model {codec.info.id} {codec.channels}")
        if not (
            1 <= frames <= MAX_FRAMES and frames * q.codebooks * q.code_bits <= 8 * MAX_PAYLOAD
        ):
            raise ConfigError(f"{frames} frames do not fit a datagram: choose fewer")
        self.size, self.rate = frames * codec.hop, codec.sample_rate
        self.period = self.size / self.rate
        self.left = self.gone = False
        self._ssrc, self._secret = 1 + secrets.randbelow(2**32 - 1), secret
        self._handshake = Handshake(secret or b"", self._ssrc, codec.info.weights_hash, frames)
        encoder, payloader = codec.encoder(bitrate, 1, frames), Payloader(frames, q.code_bits)
        self._sender = Sender(encoder, payloader, self.size, self.rate, self._ssrc, dtx)
        self._controller = Controller(codec.bitrates, encoder.bitrate)
        self._sender.setting = self._controller.setting
        self._decoder, self._shape = codec.decoder(frames), (frames, q.code_bits, q.codebooks)
        self._guard: Guard = Unguarded()
        self._receiver: Receiver | None = None
        self._refused, self._wire = 0, 0  # datagrams that were not authentic; bytes sent
        self._skipped = 0
        self._greet_at = self._report_at = self._alive = self._began = 0.0
        self._last, self._last_at = 0, 0.0  # time in the newest report, and its arrival
        self._far: Report | None = None
        self._round_trip: float | None = None
        self._ended = False

    @property
    def connected(self) -> bool:
        return self._receiver is not None

    @property
    def refused(self) -> bool:
        """Whether another end has called with another key."""
        return self._handshake.refused > 0

    def write(self, samples: Samples) -> list[bytes]:
        """Samples spoken -> datagrams to send; nothing before both ends are connected."""
        if not self.connected or self._ended:
            return []
        return [self._protected(packet) for packet in self._sender.write(samples)]

    def pull(self, now: float) -> Samples:
        """The next packet time of what the other end says, [size]; once per `period`."""
        if self._receiver is None:
            return np.zeros(self.size, np.float32)
        return self._receiver.pull(now)

    def skip(self, count: int) -> None:
        """This end was too slow for so many packet times: neither written nor pulled."""
        if self._receiver is not None:
            self._skipped += count
            self._sender.skip(count)
            self._receiver.buffer.skip(count)

    @property
    def drained(self) -> bool:
        """Whether all that has come has been played."""
        return self._receiver is None or not len(self._receiver.buffer)

    def end(self) -> list[bytes]:
        """The own stream ends. Returns the datagram that says so; `poll` repeats it."""
        self._ended = True
        return [self._protected(goodbye(self._ssrc))] if self.connected else []

    def poll(self, now: float) -> list[bytes]:
        """Datagrams due besides speech: hellos, reports, goodbyes. To be called once per period."""
        due = []
        if self._handshake.owes and now >= self._greet_at:
            due.append(self._handshake.hello())
            self._greet_at, self._handshake.owes = now + GREET, not self.connected
        if self._receiver is not None:
            if now >= self._report_at:
                self._report_at = now + REPORT
                due.append(self._protected(self._report(self._receiver, now)))
                due += self.end() if self._ended else []
            if not self.left and now > self._alive + PATIENCE:
                self.left = self.gone = True
        return due

    def receive(self, datagram: bytes, now: float) -> None:
        """A datagram has come from the other end's address; hostile ones are only counted.

        Raises:
            ModelError: the other end speaks with another model or packet size.
        """
        try:
            if len(datagram) > MAX_DATAGRAM:
                raise FormatError(f"a datagram of {len(datagram)} bytes")
            if len(datagram) == SIZE and datagram[0] >> 6 != 2:
                self._handshake.receive(datagram)
                self._connect(now)
            elif self._receiver is not None:
                packet = self._guard.open(datagram)
                if is_rtcp(packet):
                    self._hear(packet, now)
                else:
                    self._receiver.receive(packet, now)
                    self._alive = now
        except FormatError:
            self._refused += 1

    def _connect(self, now: float) -> None:
        agreed = self._handshake.agreed
        if agreed is None or self._receiver is not None:
            return
        if self._secret is not None:
            self._guard = Srtp(agreed.sending, agreed.receiving, self._ssrc, agreed.ssrc)
        self._receiver = Receiver(self._decoder, *self._shape, self.size, self.rate, agreed.ssrc)
        self._alive = self._began = now
        self._report_at = now + REPORT

    def _report(self, receiver: Receiver, now: float) -> bytes:
        heard, own = receiver.sequence, self._sender
        return Report(
            self._ssrc, now, own.timestamp, own.packets, own.octets, receiver.ssrc,
            heard.interval(), heard.lost, max(0, heard.highest), heard.jitter, self._last,
            now - self._last_at if self._last else 0.0,
        ).to_bytes(self.rate)  # fmt: skip

    def _hear(self, packet: bytes, now: float) -> None:
        assert self._receiver is not None
        if is_goodbye(packet, self._receiver.ssrc):
            self.left = True
            return
        report = Report.parse(packet, self.rate)
        if (report.ssrc, report.heard) != (self._receiver.ssrc, self._ssrc):
            raise FormatError("a report of another stream")
        self._alive, self._far = now, report
        self._last, self._last_at = middle(report.time), now
        self._round_trip = report.round_trip(now)
        self._sender.setting = self._controller.update(report.loss, self._round_trip)

    def _protected(self, packet: bytes) -> bytes:
        protected = self._guard.protect(packet)
        self._wire += len(protected)
        return protected

    def summary(self, now: float) -> dict[str, Any]:
        """What happened so far; times in ms, rates in kbps, `None` for what is not known."""
        receiver, far, seconds = self._receiver, self._far, max(now - self._began, self.period)
        depth = receiver.buffer.depth if receiver else 0.0
        trip, setting = self._round_trip, self._sender.setting
        return {
            "connected": self.connected,
            "encrypted": self.connected and self._secret is not None,
            "seconds": round(seconds, 2) if self.connected else 0.0,
            "skipped": self._skipped,
            "sent": self._sender.packets,
            "payload_kbps": round(8 * self._sender.octets / seconds / 1000, 2),
            "udp_kbps": round(8 * self._wire / seconds / 1000, 2),
            "lost_on_the_way_there": far.lost if far else None,
            "round_trip_ms": None if trip is None else round(1000 * trip, 1),
            "bitrate_now_kbps": setting.bitrate,
            "redundancy_now": list(setting.redundancy.distances),
            "refused": self._refused,
            "lost": receiver.sequence.lost if receiver else 0,
            **(receiver.counts.as_dict() if receiver else {}),
            "jitter_ms": round(1000 * receiver.sequence.jitter, 2) if receiver else None,
            "buffer_ms": round(1000 * depth, 1),
            # Packet, half a round trip, jitter buffer; without devices and processing.
            "delay_ms": None if trip is None else round(1000 * (self.period + trip / 2 + depth), 1),
        }
