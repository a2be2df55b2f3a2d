"""Models: a name or a folder -> identity, configuration and checked files. Imports no torch."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

from audiodec.config import ModelInfo, from_json
from audiodec.errors import ConfigError, ModelError

WEIGHTS, ENCODER, DECODER, INFO = (
    "weights.safetensors",
    "encoder.onnx",
    "decoder.onnx",
    "model.json",
)
CONCEALMENT = "concealment.onnx"  # a model may have it; without, the last frame goes on
# The same encoder and decoder for WebAssembly (js/), whose kernels are other ones; optional.
WASM_ENCODER, WASM_DECODER = "encoder.wasm.onnx", "decoder.wasm.onnx"
BUNDLED = Path(__file__).parent / "models"
DEFAULT = "speech-48k"


def find_model(name: str | Path | None) -> Path:
    """Find the folder of a bundled model (by name, or the default) or a folder of the user's.

    Raises:
        ModelError: there is no such model.
    """
    wanted = DEFAULT if name is None else name
    for folder in (BUNDLED / str(wanted), Path(wanted)):
        if str(wanted) and (folder / INFO).is_file():
            return folder
    known = ", ".join(bundled_models()) or "none"
    raise ModelError(f"no model '{wanted}': bundled models are {known}; or give a folder")


def bundled_models() -> list[str]:
    """List the names of the models inside the package."""
    return sorted(p.parent.name for p in BUNDLED.glob(f"*/{INFO}"))


def model_of_weights(start: bytes) -> Path | None:
    """Find the bundled model whose weights have a SHA-256 that starts so, by its `model.json`."""
    for name in bundled_models():
        folder = find_model(name)
        if bytes.fromhex(from_json(ModelInfo, folder / INFO).files[WEIGHTS]).startswith(start):
            return folder
    return None


def read_info(folder: Path) -> ModelInfo:
    """Read identity and configuration of a model folder, every file's hash checked.

    Raises:
        ModelError: `model.json` is unusable, or a file is missing or differs from its hash.
    """
    try:
        info = from_json(ModelInfo, folder / INFO)
    except ConfigError as error:
        raise ModelError(f"model {folder}: {error}") from None
    needed = (WEIGHTS, ENCODER, DECODER)
    for name in needed:
        if name not in info.files:
            raise ModelError(f"model {folder}: {INFO} lists no {name}")
    for name in (*needed, *info.files.keys() & {CONCEALMENT}):
        try:
            digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        except OSError as error:
            raise ModelError(f"model {folder}: {error}") from None
        if digest != info.files[name]:
            raise ModelError(f"model {folder}: {name} is damaged or changed (SHA-256 differs)")
    return info


@dataclasses.dataclass(frozen=True)
class ModelFolders:
    """Where a model's encoder and decoder come from: usually one folder.

    Pickled, it is names or paths, and what the files must be; unpickled, they are checked anew.

    Attributes:
        info: what decodes: the decoder's identity, with the encoder's configuration.
        encoder_info: the identity of the encoder's own model.
    """

    encoder: Path
    decoder: Path
    info: ModelInfo
    encoder_info: ModelInfo

    @classmethod
    def one(cls, folder: Path) -> ModelFolders:
        """Check a whole model. Raises ModelError like `read_info`."""
        info = read_info(folder)
        return cls(folder.absolute(), folder.absolute(), info, info)

    @classmethod
    def pair(cls, encoder: Path, decoder: Path) -> ModelFolders:
        """Check the encoder of one model with the decoder of another.

        The caller compares the codebooks, which only a runtime reads.

        Raises:
            ModelError: like `read_info`, or the two do not fit each other.
        """
        first, second = read_info(encoder), read_info(decoder)
        for name in ("sample_rate", "hop", "channels", "quantizer"):
            a, b = getattr(first.codec, name), getattr(second.codec, name)
            if a != b:
                raise ModelError(
                    f"encoder {first.id} and decoder {second.id} do not fit: {name} {a} and {b}"
                )
        codec = dataclasses.replace(second.codec, encoder=first.codec.encoder)
        info = dataclasses.replace(second, codec=codec)
        return cls(encoder.absolute(), decoder.absolute(), info, first)

    def __reduce__(self) -> tuple[Any, tuple[str, str, ModelInfo, ModelInfo]]:
        # A bundled model goes by its name: the package may lie elsewhere over there.
        encoder, decoder = (
            f.name if f.parent == BUNDLED.absolute() else str(f)
            for f in (self.encoder, self.decoder)
        )
        return _find_again, (encoder, decoder, self.info, self.encoder_info)


def _find_again(
    encoder: str, decoder: str, info: ModelInfo, encoder_info: ModelInfo
) -> ModelFolders:
    """Check that the files are those that were pickled. Raises ModelError if not."""
    if encoder == decoder:
        found = ModelFolders.one(find_model(encoder))
    else:
        found = ModelFolders.pair(find_model(encoder), find_model(decoder))
    if (found.info, found.encoder_info) != (info, encoder_info):
        raise ModelError(
            f"{decoder} is {found.info.id} now, not the model {info.id} that was pickled: "
            "its files have changed"
        )
    return found
