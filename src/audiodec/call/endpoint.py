"""One end of a call, without sockets, threads or clocks: datagrams, samples, times in and out."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from audiodec.arrays import Samples
from audiodec.call.handshake import FAMILY, Handshake, State, Stream
from audiodec.errors import ConfigError, FormatError
from audiodec.rtp.control import Controller
from audiodec.rtp.packet import MAX_DATAGRAM, is_rtcp
from audiodec.rtp.payload import MAX_FRAMES, MAX_PAYLOAD, Form, Payloader
from audiodec.rtp.receiver import Counts, PacketDecoder, Receiver
from audiodec.rtp.rtcp import Report, middle
from audiodec.rtp.sender import PacketEncoder, Sender
from audiodec.rtp.sequence import SEQUENCE_ROUND
from audiodec.rtp.srtp import Guard, Srtp, Unguarded

GREET_EVERY_S = 0.2  # seconds between hellos
REPORT_EVERY_S = 1.0  # seconds between reports
GONE_AFTER_S = 10.0  # seconds without an authentic packet after which the other end is gone


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

    It has no clock: every method that needs the time is told it, `now`, in seconds of one clock
    that never goes back, e.g. `time.monotonic()`.

    Args:
        codec: A loaded model of one channel; both ends need the same one.
        secret: 32 bytes that both ends hold. If not given, nothing is encrypted.
        bitrate: kbps, the highest to use; copies add to it. The model's highest if not given.
        frames: In every packet.
        dtx: Whether to send almost nothing in silence.

    Attributes:
        rate: Hz.
        size, period: Samples and seconds of a packet: the step of `write` and `pull`.
        connected: Each end hears the other, and knows that it is heard.
        left: The other end's stream has ended, or it is gone.
        hung_up: It has said that it neither speaks nor listens any more.
        gone: It is gone without a word.

    Raises:
        ConfigError: The model has several channels, or packets would not fit a datagram.
    """

    def __init__(
        self, codec: Speech, secret: bytes | None = None, bitrate: float | None = None,
        frames: int = 3, dtx: bool = False,
    ) -> None:  # fmt: skip
        format = codec.config.packet_format(frames)
        if codec.channels != 1:
            raise ConfigError(f"a call has one channel, model {codec.info.id} {codec.channels}")
        if not (1 <= frames <= MAX_FRAMES and format.size(format.codebooks) <= MAX_PAYLOAD):
            raise ConfigError(f"{frames} frames do not fit a datagram: choose fewer")
        self.size, self.rate, self.period = format.samples, format.sample_rate, format.seconds
        self.left = self.hung_up = self.gone = False
        self._ssrc, self._secret = 1 + secrets.randbelow(2**32 - 1), secret
        encoder = codec.encoder(bitrate, 1, frames)
        self._payloader = Payloader(format, form=Form.OLDER)
        self._sender = Sender(encoder, self._payloader, self._ssrc, dtx)
        self._controller = Controller(codec.bitrates, encoder.bitrate, self.period)
        self._sender.setting = self._controller.setting
        own = Stream(self._ssrc, self._sender.first)
        self._handshake = Handshake(secret or b"", own, codec.info.weights_hash, frames)
        self._decoder, self._format = codec.decoder(frames), format
        self._guard: Guard = Unguarded()
        self._receiver: Receiver | None = None
        self._refused, self._wire = 0, 0  # datagrams that were not authentic; bytes sent
        self._skipped = 0
        self._greet_at = self._report_at = self._alive = 0.0
        self._began: float | None = None
        # Time in the newest report, its middle bits, and when it came.
        self._newest, self._last, self._last_at = 0.0, 0, 0.0
        self._far: Report | None = None
        self._round_trip: float | None = None
        self._ended = False

    @property
    def connected(self) -> bool:
        """Whether both ends are known to hear each other."""
        return self._handshake.state is State.SURE

    @property
    def called(self) -> bool:
        """Whether the other end has called; it may not hear this one."""
        return self._handshake.called

    @property
    def refused(self) -> bool:
        """Whether another end has called with another key."""
        return self._handshake.refused > 0

    def write(self, samples: Samples) -> list[bytes]:
        """Take samples spoken and give datagrams to send; none while nobody hears them.

        Args:
            samples: Sound in [-1, 1], float32, [n] of any number.
        """
        if not self.connected or self._ended or self.hung_up:
            return []
        return [self._protected(packet) for packet in self._sender.write(samples)]

    def pull(self, now: float) -> Samples:
        """Give the next packet time of what the other end says; to be called once per `period`.

        Args:
            now: Seconds.

        Returns:
            Sound in [-1, 1], float32, [size]; silence before the call begins.
        """
        if self._receiver is None:
            return np.zeros(self.size, np.float32)
        return self._receiver.pull(now)

    def skip(self, count: int) -> None:
        """Note that this end was too slow: for a while it has neither written nor pulled.

        Args:
            count: Packet times that went by.
        """
        if self._receiver is not None:
            self._skipped += count
            self._sender.skip(count)
            self._receiver.buffer.skip(count)

    @property
    def drained(self) -> bool:
        """Whether all that has come has been played."""
        return self._receiver is None or not len(self._receiver.buffer)

    def end(self) -> None:
        """End the own stream: `poll` says so, again and again."""
        if not self._ended:
            self._ended, self._report_at = True, 0.0

    def hang_up(self, now: float) -> list[bytes]:
        """End the call for both ends.

        Args:
            now: Seconds.

        Returns:
            The datagram that tells the other end, to be sent more than once, since it may be
            lost; nothing when there is no call.
        """
        if self._receiver is None:
            return []
        return [self._report(self._receiver, now, hung_up=True)]

    def poll(self, now: float) -> list[bytes]:
        """Give the datagrams due besides speech: hellos, reports, goodbyes. To be called once per
        `period`.

        Args:
            now: Seconds.
        """
        due = []
        if self._handshake.owes and now >= self._greet_at:
            due += self._handshake.hellos()
            self._greet_at, self._handshake.owes = now + GREET_EVERY_S, not self.connected
        if self._receiver is not None and self.connected:
            if now >= self._report_at:
                self._report_at = now + REPORT_EVERY_S
                due.append(self._report(self._receiver, now))
            if not self.hung_up and now > self._alive + GONE_AFTER_S:
                self.left = self.gone = True
        return due

    def receive(self, datagram: bytes, now: float) -> None:
        """Take a datagram that came from the other end's address; hostile ones are only counted.

        Args:
            datagram: Its bytes.
            now: Seconds, at its arrival.

        Raises:
            ModelError: The other end speaks with another model or packet size.
        """
        try:
            if len(datagram) > MAX_DATAGRAM:
                raise FormatError(f"a datagram of {len(datagram)} bytes")
            if datagram.startswith(FAMILY):
                self._greeted(datagram, now)
            elif self._receiver is not None:
                self._packet(self._receiver, self._guard.open(datagram), now)
        except FormatError:
            self._refused += 1

    def _greeted(self, hello: bytes, now: float) -> None:
        """Take a hello; one that brings news is answered at once."""
        handshake = self._handshake
        before = handshake.state, handshake.agreed, handshake.called
        handshake.receive(hello)
        if (handshake.state, handshake.agreed, handshake.called) != before:
            self._greet_at = now
        self._payloader.form = Form.COMPACT if handshake.compact else Form.OLDER
        agreed = handshake.agreed
        if agreed is not None and agreed is not before[1]:
            theirs = agreed.stream
            if self._secret is not None:
                self._guard = Srtp(agreed.sending, agreed.receiving, self._ssrc, theirs.ssrc)
            self._receiver = Receiver(self._decoder, self._format, theirs.ssrc, theirs.first)
        if self.connected and self._began is None:
            self._alive_at(now)

    def _alive_at(self, now: float) -> None:
        """Note that the other end has shown that it hears and is heard."""
        self._alive = now
        if self._began is None:
            self._handshake.sure()
            self._began = now
            self._report_at = now + (0 if self._ended else REPORT_EVERY_S)

    def _packet(self, receiver: Receiver, packet: bytes, now: float) -> None:
        """Note that an authentic packet has come."""
        if is_rtcp(packet):
            self._hear(receiver, Report.parse(packet, self.rate), now)
        else:
            before = receiver.counts.received
            receiver.receive(packet, now)
            if receiver.counts.received > before:
                self._alive_at(now)

    def _hear(self, receiver: Receiver, report: Report, now: float) -> None:
        if report.ssrc != receiver.ssrc or report.heard not in (0, self._ssrc):
            raise FormatError("a report of another stream")
        self._alive_at(now)
        receiver.sequence.tell(report.packets)
        self.left |= report.ended
        self.hung_up |= report.hung_up
        if report.time < self._newest:
            return  # overtaken: what it says has changed since
        self._newest, self._last, self._last_at = report.time, middle(report.time), now
        if report.heard:
            self._far, self._round_trip = report, report.round_trip(now)
            self._sender.setting = self._controller.update(
                report.loss, self._round_trip, report.burst
            )

    def _report(self, receiver: Receiver, now: float, hung_up: bool = False) -> bytes:
        heard, own = receiver.sequence, self._sender
        report = Report(
            self._ssrc, now, own.timestamp, own.packets, own.octets,
            ended=self._ended, hung_up=hung_up,
        )  # fmt: skip
        if heard.received:
            report = replace(
                report, heard=receiver.ssrc, loss=heard.interval(), lost=heard.missing,
                highest=heard.highest, jitter=heard.jitter, last=self._last,
                held=now - self._last_at if self._last else 0.0,
                burst=heard.burst if self._handshake.compact else None,
            )  # fmt: skip
        return self._protected(report.to_bytes(self.rate))

    def _protected(self, packet: bytes) -> bytes:
        protected = self._guard.protect(packet)
        self._wire += len(protected)
        return protected

    @property
    def _unheard(self) -> int | None:
        """Packets sent that the other end has not heard, as far as it has told."""
        far = self._far
        if not self._sender.packets:
            return 0
        if not self.hung_up:
            return far.lost if far else None
        heard = 0
        if far is not None:  # its last word: what came later came too late
            expected = far.highest - (self._sender.first + SEQUENCE_ROUND) + 1
            heard = (expected - far.lost) % 2**32
        return self._sender.packets - heard

    def summary(self, now: float) -> dict[str, Any]:
        """Sum up what happened so far, by name: times in ms, rates in kbps; None: not known.

        Args:
            now: Seconds.
        """
        receiver, began = self._receiver, now if self._began is None else self._began
        seconds = max(now - began, self.period)
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
            "lost_on_the_way_there": self._unheard,
            "round_trip_ms": None if trip is None else round(1000 * trip, 1),
            "bitrate_now_kbps": setting.bitrate,
            "redundancy_now": list(setting.redundancy.distances),
            "refused": self._refused,
            "lost": receiver.sequence.lost if receiver else 0,
            **(receiver.counts if receiver else Counts()).as_dict(),
            "jitter_ms": round(1000 * receiver.sequence.jitter, 2) if receiver else None,
            "buffer_ms": round(1000 * depth, 1),
            # Packet, half a round trip, jitter buffer; without devices and processing.
            "delay_ms": None if trip is None else round(1000 * (self.period + trip / 2 + depth), 1),
        }
