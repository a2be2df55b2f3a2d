"""AudioDec: a streamable, real-time neural codec for speech.

import audiodec, soundfile
samples, rate = soundfile.read("speech.wav", dtype="float32")
codec = audiodec.load()
codes = codec.encode(samples, bitrate=12, sample_rate=rate)
decoded = codec.decode(codes, len(samples), sample_rate=rate)
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

# onnxruntime reports its use to its makers unless told not to before it is imported, by us or by
# a package that we call.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from audiodec.codec import Codec
from audiodec.errors import (
    AudioDecError,
    AudioError,
    ConfigError,
    FormatError,
    MissingExtraError,
    ModelError,
)
from audiodec.loading import load
from audiodec.session import Decoder, Encoder

if TYPE_CHECKING:
    from audiodec.adc import decode_file, encode_file

__version__ = "0.7.0"
__all__ = [
    "AudioDecError",
    "AudioError",
    "Codec",
    "ConfigError",
    "Decoder",
    "Encoder",
    "FormatError",
    "MissingExtraError",
    "ModelError",
    "decode_file",
    "encode_file",
    "load",
]


def __getattr__(name: str) -> Any:
    """Files are read and written by libraries that who only streams need not wait for."""
    if name not in ("decode_file", "encode_file"):
        raise AttributeError(f"module 'audiodec' has no attribute {name!r}")
    from audiodec import adc

    return getattr(adc, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
