"""Model configuration: frozen dataclasses to and from JSON. Imports no torch.

Every field says its unit. Unknown keys, wrong types and values out of range are
refused with one line that names the key.
"""

from __future__ import annotations

import math
from numbers import Real
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, dataclass_transform

from pydantic import (
    AliasChoices,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
)
from pydantic.dataclasses import dataclass

from audiodec.bitstream.packet import PacketFormat
from audiodec.errors import ConfigError

T = TypeVar("T")
Positive = Annotated[int, Field(gt=0)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(Field,))
def config(cls: type[T]) -> type[T]:
    """Make a frozen, validated, keyword-only configuration dataclass that refuses unknown keys."""
    make: Any = dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
    made: type[T] = make(cls)
    return made


def formerly(name: str, old: str) -> Any:
    """Mark a field that is also read under the name it had in files of version 0.7."""
    return Field(validation_alias=AliasChoices(name, old))


@config
class SpectralEncoderConfig:
    """The efficient encoder: spectral features, then causal blocks at the frame rate.

    A frame of several sub-frames has blocks at their rate first: they see time inside the frame.
    """

    kind: Literal["spectral"] = "spectral"
    sub_frames: Positive = 1  # in one frame; features and fine blocks run at their rate
    fine_width: Positive = 256  # channels inside the fine blocks
    fine_dilations: tuple[Positive, ...] = ()  # one fine block each, sub-frames
    width: Positive = 384  # channels inside the blocks
    expansion: Annotated[float, Field(gt=0)] = 1  # hidden width of a block / width
    kernel: Positive = 5  # taps of each depthwise filter, frames
    fine_kernel: Positive = 5  # of the fine blocks, sub-frames
    dilations: tuple[Positive, ...] = (1, 1, 2, 1)  # one block each, frames
    bands: Positive = 32  # Bark-wide bands for levels and whitening
    whitening: Annotated[float, Field(ge=0, le=1)] = 0.7  # 0: raw coefficients, 1: flat
    offset_frames: Annotated[int, Field(ge=0)] = 0  # whose mean is taken off the input; 0: never


@config
class SpectralDecoderConfig:
    """The efficient decoder: causal blocks at the frame rate, then a gain-shape DCT head.

    A frame of several sub-frames is split before its last blocks; the head draws sub-frames.
    """

    kind: Literal["spectral"] = "spectral"
    sub_frames: Positive = 1  # in one frame; fine blocks and head run at their rate
    fine_width: Positive = 256  # channels inside the fine blocks
    fine_dilations: tuple[Positive, ...] = ()  # one fine block each, sub-frames
    width: Positive = 384
    expansion: Annotated[float, Field(gt=0)] = 1.33333  # 512 hidden units
    kernel: Positive = 3
    fine_kernel: Positive = 3
    # The reach of the decoder, sum of (kernel - 1) * dilation = 22 frames = 147 ms at the
    # default hop, is how long a lost packet can be heard: keep it below 150 ms.
    dilations: tuple[Positive, ...] = (1, 2, 2, 1, 2, 2, 1)
    bands: Positive = 32
    overlap: Positive = 64  # samples that cross-fade into the next frame
    noise_above: Annotated[float, Field(gt=0)] = 5000  # Hz above which there is only noise
    noise_width: Annotated[float, Field(gt=0)] = 1000  # Hz of the noise's bands


@config
class SeanetEncoderConfig:
    """The published encoder and projector: strided causal convolutions on the waveform."""

    kind: Literal["seanet"]
    channels: Positive = 32  # after the first convolution
    ratios: tuple[Positive, ...] = (2, 4, 8, 16)  # width after each block / channels
    strides: tuple[Positive, ...] = (3, 4, 5, 5)  # samples per frame is their product
    activated: bool = False  # symAAD: one more activation at the output
    weight_norm: bool = False  # weights learn as direction and length


@config
class SeanetDecoderConfig:
    """The published decoder, the encoder's mirror image."""

    kind: Literal["seanet"]
    channels: Positive = 32  # before the last convolution
    ratios: tuple[Positive, ...] = (16, 8, 4, 2)  # width before each block / channels
    strides: tuple[Positive, ...] = (5, 5, 4, 3)
    activated: bool = False  # symAAD: activation before each block and the output, tanh at the end
    weight_norm: bool = False


@config
class HifiganDecoderConfig:
    """The published vocoders: a causal HiFi-GAN generator on normalised quantized latents."""

    kind: Literal["hifigan"]
    channels: Positive = 512  # after the first convolution; halved by each upsampling
    kernel: Positive = 7  # of the first and last convolution
    strides: tuple[Positive, ...] = (5, 5, 4, 3)
    kernels: Annotated[tuple[Positive, ...], Field(min_length=1)] = (3, 7, 11)  # residual blocks
    dilations: tuple[Positive, ...] = (1, 3, 5)  # of each residual block
    groups: Positive = 1  # above 1: one residual block, as many times as wide, grouped
    weight_norm: bool = True


def _kind(value: Any) -> str:
    """Which family a part belongs to; the efficient one unless it says otherwise."""
    if isinstance(value, dict):
        return str(value.get("kind", "spectral"))
    return str(getattr(value, "kind", "spectral"))


EncoderConfig = Annotated[
    Annotated[SpectralEncoderConfig, Tag("spectral")]
    | Annotated[SeanetEncoderConfig, Tag("seanet")],
    Discriminator(_kind),
]
DecoderConfig = Annotated[
    Annotated[SpectralDecoderConfig, Tag("spectral")]
    | Annotated[SeanetDecoderConfig, Tag("seanet")]
    | Annotated[HifiganDecoderConfig, Tag("hifigan")],
    Discriminator(_kind),
]
KINDS = ("spectral", "seanet", "hifigan")


@config
class QuantizerConfig:
    """Residual vector quantization: how many codebooks, and how large."""

    codebooks: Annotated[int, Field(gt=0, le=64), formerly("codebooks", "stages")] = 8
    codebook_size: Annotated[int, Field(ge=2, le=65536)] = 1024  # codes in each, power of two
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
    channels: Annotated[int, Field(gt=0, le=16)] = 1  # coded together, e.g. 2 for binaural sound
    encoder: EncoderConfig = SpectralEncoderConfig()
    quantizer: QuantizerConfig = QuantizerConfig()
    decoder: DecoderConfig = SpectralDecoderConfig()

    def __post_init__(self) -> None:
        for name, part in (("encoder", self.encoder), ("decoder", self.decoder)):
            if part.kind == "spectral":
                if self.channels > 1:
                    raise ValueError(f"the spectral {name} takes one channel, not {self.channels}")
                if self.hop % part.sub_frames:
                    raise ValueError(f"{name}.sub_frames {part.sub_frames} do not divide the hop")
                if part.fine_dilations and part.sub_frames == 1:
                    raise ValueError(f"{name}.fine_dilations need sub_frames above 1")
            elif math.prod(part.strides) != self.hop:
                raise ValueError(f"{name}.strides {part.strides} do not make hop {self.hop}")

    @property
    def frame_rate(self) -> float:
        """Frames per second, of which each has a code of every codebook."""
        return self.sample_rate / self.hop

    def packet_format(self, frames: int) -> PacketFormat:
        """Give the format of packets of that many frames."""
        q = self.quantizer
        return PacketFormat(frames, q.codebooks, q.code_bits, self.hop, self.sample_rate)

    def bitrate(self, num_codebooks: int) -> float:
        """Compute the payload bitrate in kbps when the codes of that many leading codebooks are
        sent."""
        return self.frame_rate * num_codebooks * self.quantizer.code_bits / 1000

    def codebooks_for(self, kbps: float | None) -> int:
        """Find the number of codebooks whose bitrate is exactly `kbps` (None: all of them).

        Raises:
            ConfigError: no number of codebooks gives that rate, or it is no number.
        """
        rates = [self.bitrate(n) for n in range(1, self.quantizer.codebooks + 1)]
        if kbps is None:
            return len(rates)
        choices = ", ".join(f"{rate:g}" for rate in rates)
        if not isinstance(kbps, Real) or isinstance(kbps, bool):
            raise ConfigError(f"bitrate must be a number of kbps, not {kbps!r}; choose {choices}")
        for num_codebooks, rate in enumerate(rates, start=1):
            if math.isclose(rate, kbps, abs_tol=0.01):
                return num_codebooks
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
        key = ".".join(str(part) for part in first["loc"] if part not in KINDS) or "top level"
        if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
            reason = "no such setting"
        elif first["type"] == "union_tag_invalid":
            reason = f"kind must be one of {first['ctx']['expected_tags']}"
        else:
            reason = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{source}: {key}: {reason}") from None


def from_json(cls: type[T], path: Path) -> T:
    """Read a configuration from a JSON file. Raises ConfigError like `from_data`."""
    import json

    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    return from_data(cls, data, str(path))


def to_data(value: Any) -> Any:
    """Give a configuration as plain data for JSON or YAML."""
    return TypeAdapter(type(value)).dump_python(value, mode="json")
