"""How two ends of a call find each other: what is spoken, by which SSRC, under which keys.

Each end sends a hello with a fresh nonce until it gets one that repeats that nonce, so an old
hello is worth nothing. Then both have agreed, but only the end that is told so by the other knows
that it will be heard: hellos go on until both are sure.

Both are authenticated by a secret that both ends hold, and both nonces together make the SRTP
keys, one per direction, so no two calls ever share a key stream. There is no forward secrecy: who
learns the secret later can read what was recorded; WebRTC has that.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import struct
from dataclasses import dataclass
from enum import IntEnum

from audiodec.errors import FormatError, ModelError

SECRET_BYTES = 32
KEY_BYTES = 30  # bytes: AES-128 key and 112-bit salt of SRTP (RFC 3711)
_BODY = struct.Struct("!4s16s16sIH8sBB")
FAMILY = b"ADc"  # what every hello begins with
# An end greets in two forms that differ in this alone: ends that know only the first need no more.
_BASIC, _COMPACT = FAMILY + b"2", FAMILY + b"3"
_OLDER, _NOBODY = FAMILY + b"1", bytes(16)
_TAG_BYTES = 32
HELLO_BYTES = _BODY.size + _TAG_BYTES


class State(IntEnum):
    """How far an end is, as its hellos say."""

    CALLING = 0  # it knows nobody who knows it
    AGREED = 1  # it hears, and does not know whether it is heard
    SURE = 2  # the other end has agreed, too


@dataclass(frozen=True)
class Stream:
    """What an end sends.

    Attributes:
        ssrc: its name.
        first: sequence number of its first packet.
    """

    ssrc: int
    first: int


@dataclass(frozen=True)
class Agreed:
    """What an end knows once the other has answered.

    Attributes:
        stream: the other end's.
        sending, receiving: SRTP master keys with salts; worth nothing without a secret.
    """

    stream: Stream
    sending: bytes
    receiving: bytes


class Handshake:
    """One end's side of the agreement: who speaks, and what is sent.

    Args:
        secret: shared by both ends; empty: nothing is authenticated.
        stream: the own one.
        weights: first 8 bytes of the model's hash; both ends must have the same.
        frames: in every packet; both ends must have the same.

    Attributes:
        state: how far this end is; `sure` takes the last step when a packet shows it.
        agreed: None until the other end has answered.
        owes: whether the other end needs a hello.
        compact: whether the other end has greeted in the newer form: it understands compact
            payloads and reports of bursts.
        refused: hellos that were not authentic.
    """

    def __init__(self, secret: bytes, stream: Stream, weights: bytes, frames: int) -> None:
        self.state = State.CALLING
        self.agreed: Agreed | None = None
        self.owes, self.refused, self.compact = True, 0, False
        self._secret, self._stream, self._offer = secret, stream, (weights, frames)
        self._nonce, self._theirs = secrets.token_bytes(16), _NOBODY

    @property
    def called(self) -> bool:
        """Whether the other end has called."""
        return self._theirs != _NOBODY

    def hellos(self) -> list[bytes]:
        """Write what to send now: in both forms, until it is clear that the newer is understood."""
        return [self._hello(_COMPACT)] + ([] if self.compact else [self._hello(_BASIC)])

    def _hello(self, magic: bytes) -> bytes:
        body = _BODY.pack(
            magic, self._nonce, self._theirs, self._stream.ssrc, self._stream.first, *self._offer,
            self.state,
        )  # fmt: skip
        return body + self._tag(body)

    def receive(self, data: bytes) -> None:
        """Take a hello that has come.

        Raises:
            FormatError: not one, not authentic, or our own come back.
            ModelError: the other end speaks with another model, packet size or protocol.
        """
        body, tag = data[:-_TAG_BYTES], data[-_TAG_BYTES:]
        if data[:4] == _OLDER and hmac.compare_digest(tag, self._tag(body)):
            raise ModelError("the other end runs audiodec 0.7 or older: update it")
        if len(data) != HELLO_BYTES:
            raise FormatError(f"a hello of {len(data)} bytes")
        magic, nonce, ours, ssrc, first, weights, frames, state = _BODY.unpack(body)
        if (
            magic not in (_BASIC, _COMPACT)
            or nonce in (_NOBODY, self._nonce)
            or ssrc == self._stream.ssrc
        ):
            raise FormatError("not the hello of another end")
        if not hmac.compare_digest(tag, self._tag(body)):
            self.refused += 1
            raise FormatError("a hello made with another key")
        answers = ours == self._nonce
        if nonce != self._theirs:
            self._meet(nonce, answers, (weights, frames))
        if nonce == self._theirs:
            self.compact |= magic == _COMPACT
            if answers:
                self._agree(Stream(ssrc, first), state)
            # One that is sure needs no answer, or two ends would greet each other for ever.
            self.owes = self.state < State.SURE or state < State.SURE
        else:
            self.owes = self.state < State.SURE

    def sure(self) -> None:
        """Note that a packet of the other end's stream has come: it has agreed."""
        self.state = State.SURE

    def _meet(self, nonce: bytes, answers: bool, offer: tuple[bytes, int]) -> None:
        """Another end than the one known so far: it takes that one's place, unless that one has
        agreed and this one, perhaps an old hello, does not even answer."""
        if self.state is State.SURE or (self.agreed is not None and not answers):
            return
        if offer != self._offer:
            raise ModelError(
                f"the other end speaks with model weights {offer[0].hex()} and {offer[1]} frames a "
                f"packet, this one with {self._offer[0].hex()} and {self._offer[1]}"
            )
        self._theirs, self.agreed, self.state = nonce, None, State.CALLING
        self.compact = False

    def _agree(self, stream: Stream, state: int) -> None:
        if self.agreed is None:
            self.agreed = Agreed(stream, self._key(self._nonce), self._key(self._theirs))
            self.state = State.AGREED
        if state >= State.AGREED:
            self.state = State.SURE

    def _tag(self, body: bytes) -> bytes:
        return hmac.digest(self._derived(b"", b"audiodec hello", _TAG_BYTES), body, hashlib.sha256)

    def _key(self, sender: bytes) -> bytes:
        both = b"".join(sorted((self._nonce, self._theirs)))
        return self._derived(both, b"audiodec srtp" + sender, KEY_BYTES)

    def _derived(self, salt: bytes, purpose: bytes, length: int) -> bytes:
        """HKDF-SHA256 (RFC 5869) of up to 32 bytes: one round of its expansion."""
        extracted = hmac.digest(salt or bytes(32), self._secret, hashlib.sha256)
        return hmac.digest(extracted, purpose + b"\x01", hashlib.sha256)[:length]
