"""Models: a name or a folder -> identity, configuration and checked files. Imports no torch."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

from audiodec.config import ModelInfo, from_json
from audiodec.errors import ConfigError, ModelError

WEIGHTS, ENCODER, DECODER, INFO = (
    "weights.safetensors",
    "encoder.onnx",
    "decoder.onnx",
    "model.json",
)
BUNDLED = Path(__file__).parent / "models"
DEFAULT = "speech-48k"


def find_model(name: str | Path | None) -> Path:
    """The folder of a bundled model (by name, or the default) or a folder of the user's.

    Raises:
        ModelError: there is no such model.
    """
    for folder in (BUNDLED / str(name or DEFAULT), Path(name or DEFAULT)):
        if (folder / INFO).is_file():
            return folder
    known = ", ".join(bundled_models()) or "none"
    raise ModelError(f"no model {name or DEFAULT!r}: bundled models are {known}; or give a folder")


def bundled_models() -> list[str]:
    """Names of the models inside the package."""
    return sorted(p.parent.name for p in BUNDLED.glob(f"*/{INFO}"))


def read_info(folder: Path) -> ModelInfo:
    """Identity and configuration of a model folder, every file's hash checked.

    Raises:
        ModelError: `model.json` is unusable, or a file is missing or differs from its hash.
    """
    try:
        info = from_json(ModelInfo, folder / INFO)
    except ConfigError as error:
        raise ModelError(f"model {folder}: {error}") from None
    for name in (WEIGHTS, ENCODER, DECODER):
        if name not in info.files:
            raise ModelError(f"model {folder}: {INFO} lists no {name}")
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

    Attributes:
        info: what decodes: the decoder's identity, with the encoder's configuration.
    """

    encoder: Path
    decoder: Path
    info: ModelInfo

    @classmethod
    def one(cls, folder: Path) -> ModelFolders:
        """A whole model. Raises ModelError like `read_info`."""
        return cls(folder, folder, read_info(folder))

    @classmethod
    def pair(cls, encoder: Path, decoder: Path) -> ModelFolders:
        """The encoder of one model with the decoder of another.

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
        return cls(encoder, decoder, dataclasses.replace(second, codec=codec))
