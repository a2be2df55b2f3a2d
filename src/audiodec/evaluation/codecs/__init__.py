"""Every codec behind one interface: audio in, packets, audio out."""

from audiodec.evaluation.codecs.base import (
    RATE,
    Family,
    MissingCodecError,
    Peer,
    Result,
    Spec,
    code,
)
from audiodec.evaluation.codecs.cost import Cost, HasCost
from audiodec.evaluation.codecs.live import Live
from audiodec.evaluation.codecs.opus import Opus, OpusSpec
from audiodec.evaluation.codecs.ours import Ours, OursSpec
from audiodec.evaluation.codecs.registry import available, find_specs

__all__ = [
    "RATE",
    "Cost",
    "Family",
    "HasCost",
    "Live",
    "MissingCodecError",
    "Opus",
    "OpusSpec",
    "Ours",
    "OursSpec",
    "Peer",
    "Result",
    "Spec",
    "available",
    "code",
    "find_specs",
]
