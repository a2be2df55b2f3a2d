"""How two ends of a call find each other: what is spoken, by which SSRC, under which keys.

Each end sends a hello with a fresh nonce until it gets one that repeats that nonce, so an old
hello is worth nothing. Both are authenticated by a secret that both ends hold, and both nonces
together make the SRTP keys, one per direction, so no two calls ever share a key stream. There is
no forward secrecy: who learns the secret later can read what was recorded; WebRTC has that.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import struct
from dataclasses import dataclass

from audiodec.errors import FormatError, ModelError

SECRET = 32  # bytes
KEY = 30  # bytes: AES-128 key and 112-bit salt of SRTP (RFC 3711)
_BODY = struct.Struct("!4s16s16sI8sBB")
_MAGIC, _NOBODY = b"ADc1", bytes(16)
_TAG = 32
SIZE = _BODY.size + _TAG


@dataclass(frozen=True)
class Agreed:
    """What both ends know after the handshake.

    Attributes:
        ssrc: of the other end's stream.
        sending, receiving: SRTP master keys with salts; worth nothing without a secret.
    """

    ssrc: int
    sending: bytes
    receiving: bytes


class Handshake:
    """One end's side.

    Args:
        secret: shared by both ends; empty: nothing is authenticated.
        ssrc: of the own stream.
        weights: first 8 bytes of the model's hash; both ends must have the same.
        frames: in every packet; both ends must have the same.

    Attributes:
        agreed: None until the other end has answered.
        owes: whether the other end needs a hello.
        refused: hellos that were not authentic.
    """

    def __init__(self, secret: bytes, ssrc: int, weights: bytes, frames: int) -> None:
        self.agreed: Agreed | None = None
        self.owes, self.refused = True, 0
        self._secret, self._ssrc, self._offer = secret, ssrc, (weights, frames)
        self._nonce, self._theirs = secrets.token_bytes(16), _NOBODY

    def hello(self) -> bytes:
        """What to send now."""
        weights, frames = self._offer
        settled = self.agreed is not None
        body = _BODY.pack(_MAGIC, self._nonce, self._theirs, self._ssrc, weights, frames, settled)
        return body + self._tag(body)

    def receive(self, data: bytes) -> None:
        """A hello has come.

        Raises:
            FormatError: not one, not authentic, or our own come back.
            ModelError: the other end speaks with another model or packet size.
        """
        if len(data) != SIZE:
            raise FormatError(f"a hello of {len(data)} bytes")
        body, tag = data[:-_TAG], data[-_TAG:]
        magic, nonce, ours, ssrc, weights, frames, settled = _BODY.unpack(body)
        if magic != _MAGIC or nonce in (_NOBODY, self._nonce) or ssrc == self._ssrc:
            raise FormatError("not the hello of another end")
        if not hmac.compare_digest(tag, self._tag(body)):
            self.refused += 1
            raise FormatError("a hello made with another key")
        if self.agreed is None:
            self._agree(nonce, ours == self._nonce, ssrc, weights, frames)
        # One that has settled needs no answer, or two ends would greet each other for ever.
        self.owes = self.agreed is None or not settled

    def _agree(self, nonce: bytes, answered: bool, ssrc: int, weights: bytes, frames: int) -> None:
        if (weights, frames) != self._offer:
            raise ModelError(
                f"the other end speaks with model weights {weights.hex()} and {frames} frames a "
                f"packet, this one with {self._offer[0].hex()} and {self._offer[1]}"
            )
        self._theirs = nonce
        if answered:
            self.agreed = Agreed(ssrc, self._key(self._nonce), self._key(nonce))

    def _tag(self, body: bytes) -> bytes:
        return hmac.digest(self._derived(b"", b"audiodec hello", _TAG), body, hashlib.sha256)

    def _key(self, sender: bytes) -> bytes:
        both = b"".join(sorted((self._nonce, self._theirs)))
        return self._derived(both, b"audiodec srtp" + sender, KEY)

    def _derived(self, salt: bytes, purpose: bytes, length: int) -> bytes:
        """HKDF-SHA256 (RFC 5869) of up to 32 bytes: one round of its expansion."""
        extracted = hmac.digest(salt or bytes(32), self._secret, hashlib.sha256)
        return hmac.digest(extracted, purpose + b"\x01", hashlib.sha256)[:length]
