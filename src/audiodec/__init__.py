"""AudioDec: a streamable, real-time neural codec for speech.

import audiodec
codec = audiodec.load()
codes = codec.encode(samples)            # float32 in [-1, 1] at codec.sample_rate
samples = codec.decode(codes, len(samples))
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from audiodec.codec import Codec, Decoder, Encoder
from audiodec.errors import (
    AudioDecError,
    AudioError,
    ConfigError,
    FormatError,
    MissingExtraError,
    ModelError,
)
from audiodec.pretrained import ModelFolders, find_model
from audiodec.runtime.codebooks import check_codebooks

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
    "load",
]


def load(
    model: str | Path | None = None,
    *,
    encoder: str | Path | None = None,
    decoder: str | Path | None = None,
    runtime: Literal["onnx", "torch"] = "onnx",
    threads: int = 1,
) -> Codec:
    """Load a model.

    Args:
        model: name of a bundled model or a model folder; the default model if not given.
        encoder, decoder: models whose encoder or decoder takes the place of the model's own,
            e.g. a denoising encoder or a vocoder trained on the same codebooks.
        runtime: `onnx` needs only the plain install, `torch` the `train` extra.
        threads: CPU threads of the onnx runtime.

    Raises:
        ModelError: no such model, its files are damaged, or encoder and decoder have different
            codebooks.
        MissingExtraError: the torch runtime without torch.
    """
    if encoder is None and decoder is None:
        folders = ModelFolders.one(find_model(model))
    else:
        folders = ModelFolders.pair(find_model(encoder or model), find_model(decoder or model))
        check_codebooks(folders)
    if runtime == "onnx":
        from audiodec.runtime.onnx import OnnxRuntime

        return Codec(OnnxRuntime(folders, threads))
    try:
        from audiodec.runtime.torch import TorchRuntime
    except ImportError:
        raise MissingExtraError("the torch runtime", "train") from None
    return Codec(TorchRuntime(folders))
