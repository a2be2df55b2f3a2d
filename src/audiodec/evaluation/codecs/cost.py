"""What a network takes, told by the codecs that have one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class Cost:
    """Size and operations. What a codec does not tell is None.

    Attributes:
        model_mb: of the weights.
        parameters: buffers included.
        encode_macs, decode_macs: multiplications with addition per second of audio.
    """

    model_mb: float | None = None
    parameters: int | None = None
    encode_macs: float | None = None
    decode_macs: float | None = None


@runtime_checkable
class HasCost(Protocol):
    """A peer that can tell its cost."""

    def cost(self) -> Cost: ...
