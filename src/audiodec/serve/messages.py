"""Text messages between a client and the server. See docs/serve.md."""

from __future__ import annotations

import hmac
import os
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from audiodec.errors import AudioDecError, ConfigError

TOKENS = "AUDIODEC_TOKENS"  # environment variable, separated by blanks
MAX_TEXT = 4096  # bytes

Message = TypeVar("Message", bound=BaseModel)


class Close(IntEnum):
    """Why a WebSocket is closed (RFC 6455, section 7.4; ours follow the numbers of HTTP)."""

    END = 1000
    LEAVING = 1001
    TOO_LONG = 1009
    FULL = 1013
    INVALID = 4400
    DENIED = 4401
    IDLE = 4408
    REPLACED = 4409


class RequestError(AudioDecError):
    """What a client sent is refused, and its connection with it."""

    def __init__(self, message: str, close: Close) -> None:
        super().__init__(message[:100])  # a reason has at most 123 bytes
        self.close = close


class Hello(BaseModel):
    """The first message: what the client wants.

    Attributes:
        mode: encode sound to packets, or decode packets to sound.
        rate: of the model, Hz; the default model if absent.
        format: of the sound, both little-endian: 16-bit integers, or floats in [-1, 1].
        bitrate: kbps, when encoding; the model's highest if absent.
        frames: in every packet.
        transport: of sound and packets: messages of this WebSocket, or RTP beside it.
        token: access.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    mode: Literal["encode", "decode"]
    rate: int | None = None
    format: Literal["s16", "f32"] = "s16"
    bitrate: Annotated[float, Field(gt=0, le=1e6)] | None = None
    frames: Annotated[int, Field(ge=1, le=3)] = 1
    transport: Literal["websocket", "rtp"] = "websocket"
    token: Annotated[str, Field(max_length=512)] = ""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.transport == "rtp" and self.format != "s16":
            raise ValueError("RTP carries 16-bit sound")
        return self


class Control(BaseModel):
    """A later text message: another bitrate, or the end of what the client sends."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    bitrate: Annotated[float, Field(gt=0, le=1e6)] | None = None
    end: bool = False


def parse(cls: type[Message], text: bytes | str, most: int = MAX_TEXT) -> Message:
    """Read a text message from outside, of so many characters at most. Raises RequestError."""
    if len(text) > most:
        raise RequestError(f"a text message of more than {most} bytes", Close.TOO_LONG)
    try:
        return cls.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"])) or cls.__name__.lower()
        raise RequestError(f"{key}: {first['msg']}", Close.INVALID) from None


def read_tokens(file: Path | None) -> list[str]:
    """Read the tokens of a file, one a line, and of the environment; none: access is open.

    Raises:
        ConfigError: the file cannot be read, others may read it, or it is empty.
    """
    tokens = os.environ.get(TOKENS, "").split()
    if file is not None:
        try:
            if hasattr(os, "getuid") and file.stat().st_mode & 0o077:  # else modes say nothing
                raise ConfigError(f"{file} is open to other users: chmod 600 {file}")
            listed = file.read_text(encoding="utf-8-sig").split()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"tokens cannot be read: {error}") from None
        if not listed:
            raise ConfigError(f"{file} holds no token: write one a line")
        tokens += listed
    return tokens


def admit(given: str, tokens: Sequence[str]) -> None:
    """Refuse, with RequestError, who gave none of the tokens; takes as long whichever it is."""
    data = given.encode("utf-8", "surrogatepass")
    matches = [hmac.compare_digest(data, token.encode()) for token in tokens]
    if tokens and not any(matches):
        raise RequestError("wrong or missing token", Close.DENIED)
