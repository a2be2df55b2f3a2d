"""What a server gives: as it was ordered, and as it was loaded."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from audiodec.pretrained import ModelFolders, find_model
from audiodec.runtime.base import Runtime
from audiodec.serve.address import Address
from audiodec.serve.limits import Limits
from audiodec.serve.messages import read_tokens
from audiodec.serve.rooms import read_ice
from audiodec.serve.tls import Certificate


@dataclass(frozen=True)
class Offer:
    """What a server gives, whoever listens.

    Attributes:
        runtimes: models of different sample rates; the first is the default.
        tokens: that give access; without any, only this machine may connect.
        ice: STUN and TURN servers for the ends of calls, which find each other in rooms here; None:
            no rooms.
        folders: of files for browsers, by the beginning of their addresses; None: no files.
        tls: None: plain.
    """

    runtimes: Sequence[Runtime]
    limits: Limits
    tokens: list[str]
    ice: Sequence[dict[str, Any]] | None = None
    folders: Mapping[str, Path] | None = None
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True)
class Order:
    """What a server is to give, in names of files, which are read anew by each process.

    Attributes:
        models: bundled models or model folders; none: the default.
        tokens: file of access tokens.
        rooms: whether there are rooms.
        ice: file of STUN and TURN servers.
        folders: of files for browsers, by the beginning of their addresses; None: no files.
        certificate: None: no TLS.
        threads: CPU threads of the model.
    """

    limits: Limits
    models: list[str]
    tokens: Path | None = None
    rooms: bool = False
    ice: Path | None = None
    folders: dict[str, Path] | None = None
    certificate: Certificate | None = None
    threads: int = 1

    def load(self) -> Offer:
        """Read all files. Raises AudioDecError."""
        from audiodec.runtime.onnx import OnnxRuntime  # which a supervisor does without

        ice = (read_ice(self.ice) if self.ice else []) if self.rooms else None
        tokens = read_tokens(self.tokens)
        tls = self.certificate.context() if self.certificate else None
        folders = [find_model(name) for name in self.models] or [find_model(None)]
        runtimes = [OnnxRuntime(ModelFolders.one(folder), self.threads) for folder in folders]
        return Offer(runtimes, self.limits, tokens, ice, self.folders, tls)

    def renew(self, offer: Offer) -> None:
        """Read tokens and certificate anew, for connections to come.

        Raises:
            ConfigError: they cannot be used; what was offered stays.
        """
        tokens = read_tokens(self.tokens)
        if self.certificate and offer.tls:
            self.certificate.renew(offer.tls)
        offer.tokens[:] = tokens


@dataclass(frozen=True)
class Begin:
    """The first message to a worker: what it serves, and where that is.

    Attributes:
        host: as the command was told it.
        udp_port: of datagrams; 0 takes a free one.
    """

    order: Order
    host: str
    address: Address
    udp_port: int


BEGIN = TypeAdapter(Begin)
