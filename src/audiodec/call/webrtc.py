"""A call over WebRTC: the same datagrams in a data channel, so that browsers can join.

DTLS encrypts and authenticates the channel, so the endpoint needs no secret of its own. How the
session descriptions travel (signalling) is up to the application.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audiodec.call.transport import Listener

if TYPE_CHECKING:
    from aiortc import RTCDataChannel, RTCPeerConnection

LABEL = "audiodec"
MAX_BUFFERED_BYTES = 16384  # in the channel; beyond, speech is better dropped than late


def create_channel(connection: RTCPeerConnection) -> RTCDataChannel:
    """Create a data channel as UDP would be: unordered, nothing sent twice."""
    return connection.createDataChannel(LABEL, ordered=False, maxRetransmits=0)


class DataChannel:
    """A `transport.Channel` over an open data channel."""

    def __init__(self, channel: RTCDataChannel) -> None:
        self._channel = channel

    def send(self, datagram: bytes) -> None:
        if self._channel.readyState == "open" and self._channel.bufferedAmount < MAX_BUFFERED_BYTES:
            self._channel.send(datagram)

    def listen(self, listener: Listener) -> None:
        def receive(message: object) -> None:
            if isinstance(message, bytes):
                listener(message)

        self._channel.on("message", receive)
