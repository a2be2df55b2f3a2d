"""A training recipe: one YAML file, typed; any value can be changed as key=value."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field

from audiodec.config import CodecConfig, Positive, config, from_data, to_data
from audiodec.errors import ConfigError

PositiveFloat = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


@config
class Source:
    """A folder of recordings, searched recursively for any format libsndfile reads."""

    path: str
    bandwidth: PositiveFloat = 24000  # Hz up to which it holds real content; losses stop there
    weight: PositiveFloat = 1  # how often it is drawn, relative to the other sources
    exclude: str | None = None  # regular expression: matching file names are held out


@config
class Data:
    """What a training batch is made of."""

    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    crop: PositiveFloat = 0.4  # seconds
    batch: Positive = 12  # crops per step
    gain: tuple[float, float] = (-12, 6)  # dB, uniform; never into clipping
    speed: tuple[PositiveFloat, PositiveFloat] = (0.8, 1.25)  # pitch and formants move together
    speed_probability: Fraction = 0.5
    # Band-limited speech must come out band-limited: some crops lose what lies above a random
    # cutoff in Hz, and are believed up to the top.
    lowpass: tuple[PositiveFloat, PositiveFloat] = (3400, 20000)
    lowpass_probability: Fraction = 0.15
    workers: Annotated[int, Field(ge=0)] = 0  # loader processes; 0 loads in the training process


@config
class Optimizer:
    """AdamW, warm-up, constant, then linear decay to zero at the last step."""

    learning_rate: PositiveFloat = 1.5e-3
    betas: tuple[Fraction, Fraction] = (0.9, 0.98)
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    warmup: Annotated[int, Field(ge=0)] = 100  # steps
    decay_from: Fraction = 0.0  # fraction of the run after which the rate falls
    encoder_scale: Fraction = 1.0  # encoder's rate, relative, once the codebooks have started
    max_norm: PositiveFloat = 2.0  # gradients are clipped here, and at twice their running norm


@config
class Quantization:
    """How and when the codebooks join."""

    start: Fraction = 0.25  # fraction of the run trained with noise in place of the quantizer
    rate_limit: PositiveFloat = 90  # bits a frame; Gaussian rate of the latents before the start
    start_latents: Positive = 36000  # frames the k-means start sees
    decay: Fraction = 0.99  # of the codebooks' running averages
    mean_decay: Fraction = 0.95  # of the latents' running mean
    dropout: Fraction = 0.5  # share of items that keep a random number of stages
    collapse_below: Fraction = 0.05  # perplexity / codebook size that raises the alarm


@config
class Validation:
    """Fixed clips of speakers that no source holds."""

    clips: tuple[str, ...] = ()  # files or folders
    seconds: PositiveFloat = 6  # of each clip
    pictures: Annotated[int, Field(ge=0)] = 3  # clips shown as audio and spectrogram
    every: PositiveFloat = 5  # minutes


@config
class LossWeights:
    """What each loss counts; the terms are explained in `training/losses.py` and `stage.py`."""

    mel: float = 1.0
    complex: float = 2.0
    magnitude: float = 2.0
    commitment: float = 0.1
    rate: float = 0.01


Precision = Literal["bf16-mixed", "32-true"]


@config
class Recipe:
    """Everything that decides a run."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*$")]
    data: Data
    steps: Positive
    codec: CodecConfig = CodecConfig()
    init: str | None = None  # model to start from (name or folder), codebooks included
    optimizer: Optimizer = Optimizer()
    quantization: Quantization = Quantization()
    validation: Validation = Validation()
    losses: LossWeights = LossWeights()
    resolutions: Positive = 2  # random STFT windows per step
    precision: Precision = "bf16-mixed"
    checkpoint_every: PositiveFloat = 3  # minutes
    seed: int = 0


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply `key=value` overrides; dots go into groups, values are YAML.

    Raises:
        ConfigError: unreadable file, unknown key, or a value that does not fit.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"recipe {path} cannot be read: {reason}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"recipe {path} is not a table of settings")
    data.setdefault("name", path.stem)
    for override in overrides:
        _apply(data, override)
    return from_data(Recipe, data, str(path))


def save_recipe(recipe: Recipe, path: Path) -> None:
    """Write every setting, defaults included."""
    path.write_text(yaml.safe_dump(to_data(recipe), sort_keys=False), encoding="utf-8")


def _apply(data: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"{override!r} is not key=value, e.g. optimizer.learning_rate=1e-3")
    *groups, last = key.split(".")
    for group in groups:
        data = data.setdefault(group, {})
        if not isinstance(data, dict):
            raise ConfigError(f"{key}: {group} is not a group of settings")
    try:
        data[last] = yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(f"{key}: {value!r} is not a YAML value") from None
