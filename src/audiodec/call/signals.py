"""What the ends of a call say to each other in a room, before they speak directly. See
docs/serve.md."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

MAX_SIGNAL_BYTES = 16384  # of a message: a description of one data channel takes 2000 at most


def _one_data_channel(sdp: str) -> str:
    """Raise ValueError for sound, pictures, or several channels: a call has none of them."""
    media = [line.split(" ")[0] for line in sdp.splitlines() if line.startswith("m=")]
    if media != ["m=application"]:
        raise ValueError("describes something else than one data channel")
    return sdp


class Strict(BaseModel):
    """A message that says what it should and nothing else."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Join(Strict):
    """The first message of an end.

    Attributes:
        room: its name; who knows it may join, so it should be hard to guess.
        end: a random name of this end; an end that comes again takes its old place.
        token: access to the server.
    """

    room: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    end: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")]
    token: Annotated[str, Field(max_length=512)] = ""


class IceServer(Strict):
    """A STUN or TURN server, as browsers take it.

    Attributes:
        urls: e.g. "stun:stun.example.org:3478" or "turns:turn.example.org".
        username, credential: of a TURN server; everybody in a room is told.
    """

    urls: Annotated[str, Field(pattern=r"^(stun|turn)s?:[!-~]{1,300}$")]
    username: Annotated[str, Field(max_length=512)] | None = None
    credential: Annotated[str, Field(max_length=512)] | None = None


class Description(Strict):
    """A session description (SDP, RFC 8866) of one data channel."""

    type: Literal["offer", "answer"]
    sdp: Annotated[str, Field(max_length=12000), AfterValidator(_one_data_channel)]


class Candidate(Strict):
    """An address at which an end may be reached (ICE, RFC 8839), as browsers name its parts."""

    candidate: Annotated[str, Field(max_length=1024)]
    sdpMid: Annotated[str, Field(max_length=64)] | None = None  # noqa: N815
    sdpMLineIndex: Annotated[int, Field(ge=0, le=0)] | None = None  # noqa: N815
    usernameFragment: Annotated[str, Field(max_length=256)] | None = None  # noqa: N815


class Signal(Strict):
    """A later message, for the other end."""

    description: Description | None = None
    candidate: Candidate | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if (self.description is None) == (self.candidate is None):
            raise ValueError("a description or a candidate")
        return self


class Said(Strict):
    """What the server says or passes on: one of these.

    Attributes:
        joined, ice: the room, and servers that help ends behind NAT.
        peer, offer: whether the other end is there, and whether this one makes the offer.
        description, candidate: of the other end.
        error: why the server closes.
    """

    joined: Annotated[str, Field(max_length=64)] | None = None
    ice: Annotated[list[IceServer], Field(max_length=16)] = []
    peer: bool | None = None
    offer: bool = False
    description: Description | None = None
    candidate: Candidate | None = None
    error: Annotated[str, Field(max_length=200)] | None = None
