"""AudioDec: a streamable, real-time neural codec for speech.

import audiodec
codec = audiodec.load()
codes = codec.encode(samples)            # float32 in [-1, 1] at codec.sample_rate
samples = codec.decode(codes, len(samples))
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from audiodec.errors import (
    AudioDecError,
    AudioError,
    ConfigError,
    FormatError,
    MissingExtraError,
    ModelError,
)
from audiodec.pretrained import find_model
from audiodec.session import Codec, Decoder, Encoder

__version__ = "0.1.0"
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
    "load",
]


def load(
    model: str | Path | None = None,
    *,
    runtime: Literal["onnx", "torch"] = "onnx",
    threads: int = 1,
) -> Codec:
    """Load a model.

    Args:
        model: name of a bundled model or a model folder; the default model if not given.
        runtime: `onnx` needs only the plain install, `torch` the `train` extra.
        threads: CPU threads of the onnx runtime.

    Raises:
        ModelError: no such model, or its files are damaged.
        MissingExtraError: the torch runtime without torch.
    """
    folder = find_model(model)
    if runtime == "onnx":
        from audiodec.runtime.onnx import OnnxRuntime

        return Codec(OnnxRuntime(folder, threads))
    try:
        from audiodec.runtime.torch import TorchRuntime
    except ImportError:
        raise MissingExtraError("the torch runtime", "train") from None
    return Codec(TorchRuntime(folder))
