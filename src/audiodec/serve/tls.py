"""TLS by the server itself."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from audiodec.errors import ConfigError


@dataclass(frozen=True)
class Certificate:
    """Files by which a server proves who it is.

    Attributes:
        chain: PEM file of its certificate, and those that lead to one that clients know.
        key: PEM file of its private key, without a passphrase.
    """

    chain: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """Read both, for TLS 1.2 and later. Raises ConfigError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._load_into(context)
        return context

    def renew(self, context: ssl.SSLContext) -> None:
        """Read both anew, for connections to come.

        Raises:
            ConfigError: they cannot be used; the context keeps what it has.
        """
        self.context()  # what fails half-way would leave a certificate without its key
        self._load_into(context)

    def _load_into(self, context: ssl.SSLContext) -> None:
        for file in (self.chain, self.key):
            try:
                file.read_bytes()
            except OSError as error:
                raise ConfigError(f"{file} cannot be read: {error.strerror}") from None
        try:
            context.load_cert_chain(self.chain, self.key, password=self._refuse)
        except ssl.SSLError as error:
            reason = (error.reason or "no PEM").lower().replace("_", " ")
            raise ConfigError(
                f"{self.chain} and {self.key} are no certificate and its private key in PEM: "
                f"{reason}"
            ) from None

    def _refuse(self) -> str:
        raise ConfigError(f"{self.key} is locked with a passphrase: give a key without one")
