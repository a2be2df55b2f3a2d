"""Model configuration: frozen dataclasses to and from JSON. Imports no torch.

Every field says its unit. Unknown keys, wrong types and values out of range are
refused with one line that names the key.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, TypeVar, dataclass_transform

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from audiodec.errors import ConfigError

T = TypeVar("T")
Positive = Annotated[int, Field(gt=0)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(Field,))
def config(cls: type[T]) -> type[T]:
    """A frozen, validated, keyword-only configuration dataclass that refuses unknown keys."""
    make: Any = dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
    made: type[T] = make(cls)
    return made


@config
class SpectralEncoderConfig:
    """The efficient encoder: spectral features, then causal blocks at the frame rate."""

    width: Positive = 384  # channels inside the blocks
    expansion: Positive = 2  # hidden width of a block / width
    kernel: Positive = 5  # taps of each depthwise filter, frames
    dilations: tuple[Positive, ...] = (1, 1, 2, 1)  # one block each, frames
    bands: Positive = 32  # Bark-wide bands for levels and whitening
    whitening: Annotated[float, Field(ge=0, le=1)] = 0.7  # 0: raw coefficients, 1: flat


@config
class SpectralDecoderConfig:
    """The efficient decoder: causal blocks at the frame rate, then a gain-shape DCT head."""

    width: Positive = 384
    expansion: Positive = 2
    kernel: Positive = 3
    # The reach of the decoder, sum of (kernel - 1) * dilation = 22 frames = 147 ms at the
    # default hop, is how long a lost packet can be heard: keep it below 150 ms.
    dilations: tuple[Positive, ...] = (1, 2, 2, 1, 2, 2, 1)
    bands: Positive = 32
    overlap: Positive = 64  # samples that cross-fade into the next frame


@config
class QuantizerConfig:
    """Residual vector quantization."""

    stages: Annotated[int, Field(gt=0, le=64)] = 8
    codebook_size: Annotated[int, Field(ge=2, le=65536)] = 1024  # codes per stage, power of two
    dim: Positive = 64  # values per latent frame

    def __post_init__(self) -> None:
        if self.codebook_size & (self.codebook_size - 1):
            raise ValueError(f"codebook_size must be a power of two, not {self.codebook_size}")

    @property
    def code_bits(self) -> int:
        """Bits of one code."""
        return int(math.log2(self.codebook_size))


@config
class CodecConfig:
    """A whole codec: what a model folder's `model.json` says about the network."""

    sample_rate: Positive = 48000  # Hz
    hop: Positive = 320  # samples per frame
    encoder: SpectralEncoderConfig = SpectralEncoderConfig()
    quantizer: QuantizerConfig = QuantizerConfig()
    decoder: SpectralDecoderConfig = SpectralDecoderConfig()

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.sample_rate / self.hop

    def bitrate(self, stages: int) -> float:
        """Payload bitrate in kbps when the first `stages` stages are sent."""
        return self.frame_rate * stages * self.quantizer.code_bits / 1000

    def stages_for(self, kbps: float | None) -> int:
        """Number of stages whose bitrate is exactly `kbps` (None: all of them).

        Raises:
            ConfigError: no number of stages gives that rate.
        """
        rates = [self.bitrate(s) for s in range(1, self.quantizer.stages + 1)]
        if kbps is None:
            return len(rates)
        for stages, rate in enumerate(rates, start=1):
            if math.isclose(rate, kbps, abs_tol=0.01):
                return stages
        choices = ", ".join(f"{rate:g}" for rate in rates)
        raise ConfigError(f"bitrate {kbps:g} kbps is not offered by this model; choose {choices}")


@config
class ModelInfo:
    """`model.json`: identity of a model and the hashes of the files beside it."""

    id: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9._-]{0,23}$")]  # fits the .adc header
    codec: CodecConfig
    files: dict[str, Sha256]  # file name -> SHA-256

    @property
    def weights_hash(self) -> bytes:
        """The first 8 bytes of the weights' SHA-256: what files carry to name their decoder."""
        return bytes.fromhex(self.files["weights.safetensors"])[:8]


def from_data(cls: type[T], data: Any, source: str) -> T:
    """Validate plain data (dicts, lists, numbers) as a configuration.

    Args:
        cls: configuration dataclass.
        data: what JSON or YAML gave.
        source: where it came from, for the error.

    Raises:
        ConfigError: with the first wrong key and what is wrong with it.
    """
    try:
        return TypeAdapter(cls).validate_python(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "top level"
        if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
            reason = "no such setting"
        else:
            reason = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{source}: {key}: {reason}") from None


def from_json(cls: type[T], path: Path) -> T:
    """Read a configuration from a JSON file. Raises ConfigError like `from_data`."""
    import json

    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    return from_data(cls, data, str(path))


def to_data(value: Any) -> Any:
    """A configuration as plain data for JSON or YAML."""
    return TypeAdapter(type(value)).dump_python(value, mode="json")
