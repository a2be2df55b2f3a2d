"""Encrypted RTP and RTCP: SRTP (RFC 3711) by libsrtp, which also refuses replays."""

from __future__ import annotations

from typing import Protocol

from audiodec.errors import FormatError, MissingExtraError
from audiodec.rtp.packet import is_rtcp


class Guard(Protocol):
    """Protects what is sent and opens what comes."""

    def protect(self, packet: bytes) -> bytes:
        """Protect an RTP or RTCP packet, so that it may travel."""
        ...

    def open(self, datagram: bytes) -> bytes:
        """Open the RTP or RTCP packet in a datagram. Raises FormatError if it is not authentic."""
        ...


class Unguarded:
    """As it is: on one machine, or below something that encrypts."""

    def protect(self, packet: bytes) -> bytes:
        return packet

    def open(self, datagram: bytes) -> bytes:
        return datagram


class Srtp:
    """AES-128 in counter mode with an 80-bit tag, 10 bytes a packet.

    Args:
        sending, receiving: master key and salt, 30 bytes each.
        ssrc, theirs: of the own and the other end's stream.

    Raises:
        MissingExtraError: pylibsrtp is not installed.
    """

    def __init__(self, sending: bytes, receiving: bytes, ssrc: int, theirs: int) -> None:
        try:
            from pylibsrtp import Error, Policy, Session
        except ImportError:
            raise MissingExtraError("encrypting a call", "live") from None
        self._error = Error
        self._out = Session(Policy(sending, Policy.SSRC_SPECIFIC, ssrc))
        self._in = Session(Policy(receiving, Policy.SSRC_SPECIFIC, theirs))

    def protect(self, packet: bytes) -> bytes:
        protected: bytes = (
            self._out.protect_rtcp(packet) if is_rtcp(packet) else self._out.protect(packet)
        )
        return protected

    def open(self, datagram: bytes) -> bytes:
        opening = self._in.unprotect_rtcp if is_rtcp(datagram) else self._in.unprotect
        try:
            packet: bytes = opening(datagram)
        except self._error as error:
            raise FormatError(f"not an authentic packet: {error}") from None
        return packet
