"""From a model's name or folder to a codec that runs it."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Literal, get_args

from audiodec.checks import check_whole
from audiodec.codec import Codec
from audiodec.errors import ConfigError, MissingExtraError
from audiodec.pretrained import ModelFolders, find_model, model_of_weights
from audiodec.runtime.base import Runtime
from audiodec.runtime.codebooks import check_codebooks

RuntimeName = Literal["onnx", "torch"]
MAX_THREADS = 1024


def load(
    model: str | Path | None = None,
    *,
    encoder: str | Path | None = None,
    decoder: str | Path | None = None,
    runtime: RuntimeName = "onnx",
    device: Any = None,
    threads: int = 1,
) -> Codec:
    """Load a model, ready to encode and decode.

    Nothing is downloaded: models come from the package or from a folder, and the hash of each of
    their files is checked.

    Args:
        model: Name of a bundled model or a model folder; the default model if not given.
        encoder: A model whose encoder takes the place of the model's own, e.g. one that removes
            noise. It must have been trained to the same codebooks.
        decoder: A model whose decoder takes the place of the model's own, e.g. a vocoder.
        runtime: `"onnx"` runs on the CPU and needs only the plain install. `"torch"` runs the
            network as a `torch.nn.Module` (`Codec.network`) and needs torch.
        device: Where torch computes: anything that `torch.device` takes, e.g. `"cuda"`; the CPU
            if not given. Only for the torch runtime. On CUDA, torch rounds convolutions to TF32
            unless `torch.backends.cudnn.allow_tf32 = False`; the default model has none.
        threads: CPU threads of the ONNX runtime. Torch has `torch.set_num_threads` for the whole
            process instead.

    Raises:
        ModelError: There is no such model, its files are damaged, or encoder and decoder have
            different codebooks.
        ConfigError: An argument has a value that is not offered, or the device cannot be used.
        MissingExtraError: The torch runtime without torch.
    """
    for name, value in {"model": model, "encoder": encoder, "decoder": decoder}.items():
        if value is not None and not isinstance(value, str | Path):
            raise ConfigError(f"{name} must be a model's name or folder, not {value!r}")
    if runtime not in get_args(RuntimeName):
        raise ConfigError(f"runtime must be 'onnx' or 'torch', not {runtime!r}")
    if runtime == "onnx" and device is not None:
        raise ConfigError(
            f"device={device!r} is for runtime='torch'; the ONNX runtime computes on the CPU"
        )
    check_whole(threads, "threads", 1, MAX_THREADS)
    return Codec(_start(_folders(model, encoder, decoder), runtime, device, threads))


def _folders(
    model: str | Path | None, encoder: str | Path | None, decoder: str | Path | None
) -> ModelFolders:
    if encoder is None and decoder is None:
        return ModelFolders.one(find_model(model))
    if None not in (model, encoder, decoder):
        raise ConfigError("model is not used where both encoder and decoder are given")
    folders = ModelFolders.pair(find_model(encoder or model), find_model(decoder or model))
    check_codebooks(folders)
    return folders


def _start(folders: ModelFolders, runtime: RuntimeName, device: Any, threads: int) -> Runtime:
    if runtime == "onnx":
        from audiodec.runtime.onnx import OnnxRuntime

        return OnnxRuntime(folders, threads)
    try:
        from audiodec.runtime.torch import TorchRuntime
    except ModuleNotFoundError:
        raise MissingExtraError("the torch runtime", "train") from None
    return TorchRuntime(folders, device or "cpu")


def load_by_weights(start: bytes) -> Codec:
    """Load the bundled model whose weights have a SHA-256 that starts so, as files name it.

    If none has, it is the default model: comparing the two says what is missing.

    Raises:
        ModelError: The model's files are damaged.
    """
    return _load_bundled(model_of_weights(start))


@functools.lru_cache(maxsize=2)  # a folder's files are mostly of one model
def _load_bundled(folder: Path | None) -> Codec:
    return load(folder)
