"""Secrets of calls: made, kept in files that only their owner reads, never on a command line."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from audiodec.call.handshake import SECRET_BYTES
from audiodec.errors import ConfigError

VARIABLE = "AUDIODEC_CALL_KEY"


def make_key(path: Path) -> None:
    """Write a new secret to a new file that only its owner may read.

    Raises:
        ConfigError: there is such a file already, or it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError(f"{path} exists already: a key is never overwritten") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(SECRET_BYTES) + "\n")


def read_key(path: Path | None) -> bytes | None:
    """Read the secret of a file, else of the environment, else None.

    Raises:
        ConfigError: unreadable, readable to others, or no secret.
    """
    if path is None:
        text = os.environ.get(VARIABLE)
        return None if text is None else _secret(text, VARIABLE)
    try:
        with path.open(encoding="utf-8-sig") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(2 * SECRET_BYTES + 2)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"key file {path} cannot be read: {error}") from None
    if hasattr(os, "getuid") and stat.S_IMODE(mode) & 0o077:  # else modes say nothing
        raise ConfigError(f"others may read key file {path}: chmod 600 {path}")
    return _secret(text, str(path))


def _secret(text: str, source: str) -> bytes:
    try:
        secret = bytes.fromhex(text.strip())
    except ValueError:
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise ConfigError(
            f"{source} holds no key of {2 * SECRET_BYTES} hex digits: "
            "make one with audiodec call keygen"
        )
    return secret
