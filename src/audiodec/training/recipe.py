"""A training recipe: every setting, typed.

The paper's paradigm is data: a recipe is a list of stages, each of which says what learns, from
which losses, and against which adversary.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from audiodec.config import CodecConfig, Positive, config
from audiodec.training.device import Precision

PositiveFloat = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


@config
class Source:
    """A folder of recordings, searched recursively for any format libsndfile reads, or a
    manifest (.csv) that `audiodec prepare` made, of which the split `train` is taken.

    A manifest names speakers, who are drawn equally often; a folder is taken for one speaker.
    """

    path: str
    # Hz up to which it holds real content; losses stop there. A manifest may say less of a file.
    bandwidth: PositiveFloat = 24000
    weight: PositiveFloat = 1  # how often it is drawn, relative to the other sources
    exclude: str | None = None  # regular expression: matching file names are held out


@config
class Perturbation:
    """What makes many voices, microphones and rooms of few; each happens to a share of the crops,
    to input and target alike (`training/perturbation.py`)."""

    formants: tuple[PositiveFloat, PositiveFloat] = (0.85, 1.18)  # factor; the pitch stays
    formants_probability: Fraction = 0.0
    equalizer: Annotated[float, Field(ge=0)] = 5.0  # dB, standard deviation at each knot
    equalizer_probability: Fraction = 0.0
    reverberation: tuple[PositiveFloat, PositiveFloat] = (0.1, 0.6)  # seconds to decay by 60 dB
    direct: tuple[float, float] = (3, 20)  # dB of the direct sound over the reverberation
    room_probability: Fraction = 0.0
    snr: tuple[float, float] = (15, 45)  # dB over stationary noise
    noise_probability: Fraction = 0.0
    extension_probability: Fraction = 0.0  # of band-limited crops: noise up to the top


@config
class Data:
    """What a training batch is made of."""

    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    crop: PositiveFloat = 0.4  # seconds
    batch: Positive = 12  # crops per step and process
    gain: tuple[float, float] = (-12, 6)  # dB, uniform; never into clipping
    speed: tuple[PositiveFloat, PositiveFloat] = (0.8, 1.25)  # pitch and formants move together
    speed_probability: Fraction = 0.5
    # Band-limited speech must come out band-limited: some crops lose what lies above a random
    # cutoff in Hz, and are believed up to the top.
    lowpass: tuple[PositiveFloat, PositiveFloat] = (3400, 20000)
    lowpass_probability: Fraction = 0.15
    perturbation: Perturbation = Perturbation()
    # Denoising: noise and rooms at the input, the clean crop as the target. (A manifest of
    # noisy-clean pairs needs neither.)
    noise: tuple[str, ...] = ()  # folders of noise, mixed into every crop
    snr: tuple[float, float] = (0, 15)  # dB, uniform
    rooms: str | None = None  # folder of room responses, made by `audiodec prepare rooms`
    room_probability: Fraction = 0.5
    # Loader processes; 0 loads in the training process. None: 0 on a CPU, up to 8 elsewhere.
    workers: Annotated[int, Field(ge=0)] | None = None


@config
class Optimizer:
    """AdamW; without weight decay it is Adam. Warm-up, then constant, falling or halving."""

    muon: bool = False  # large matrices by Muon (`training/optimizer.py`), the rest by AdamW

    learning_rate: PositiveFloat = 1.5e-3
    betas: tuple[Fraction, Fraction] = (0.9, 0.98)
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    warmup: Annotated[int, Field(ge=0)] = 100  # steps
    decay_from: Fraction = 0.0  # fraction of the stage from which the rate falls to zero; 1: never
    halve_every: Positive | None = None  # steps
    encoder_scale: Fraction = 1.0  # encoder's rate, relative, once the codebooks have started
    # Gradients are clipped here, and at twice their running norm; None: never.
    max_norm: PositiveFloat | None = 2.0


@config
class Quantization:
    """How the codebooks learn, and when they join."""

    start: Fraction = 0.25  # fraction of the stage trained with noise in place of the quantizer
    rate_limit: PositiveFloat = 90  # bits a frame; Gaussian rate of the latents before the start
    start_latents: Positive = 36000  # frames the k-means start sees
    decay: Fraction = 0.99  # of the codebooks' running averages
    smoothing: Annotated[float, Field(ge=0)] = 0.0  # Laplace, of the usage
    dead_below: Fraction = 0.02  # usage, relative to the mean, below which a code restarts
    centred: bool = True  # take the latents' running mean off first, and its gradient away
    mean_decay: Fraction = 0.95  # of that mean
    # What the latents are drawn to: all kept codebooks, or (published) the first alone.
    commitment: Literal["all", "first"] = "all"
    dropout: Fraction = 0.5  # share of items that keep a random number of codebooks
    collapse_below: Fraction = 0.05  # perplexity / codebook size that raises the alarm


@config
class Adversary:
    """Discriminators and their optimiser; terms are explained in `training/discriminators.py`."""

    kinds: Annotated[
        tuple[Literal["multi_scale", "multi_period", "multi_resolution", "multi_frame"], ...],
        Field(min_length=1),
    ]
    width: Fraction = 1.0  # of the published channel counts
    optimizer: Optimizer = Optimizer(
        learning_rate=2e-4, betas=(0.5, 0.9), weight_decay=0, warmup=0, decay_from=1,
        halve_every=200_000, max_norm=None,
    )  # fmt: skip


Part = Literal["encoder", "quantizer", "decoder"]
PARTS: tuple[Part, ...] = ("encoder", "quantizer", "decoder")
LossName = Literal[
    "mel", "complex", "magnitude", "level", "log_mel", "stft", "shape", "commitment", "rate",
    "adversarial", "feature_matching",
]  # fmt: skip


@config
class Stage:
    """One part of the training: what learns, for how long, and from what."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] = "metric"
    steps: Positive = 20_000
    trainable: Annotated[tuple[Part, ...], Field(min_length=1)] = PARTS
    # Weight of each loss; what is not named does not count.
    losses: dict[LossName, float] = Field(
        default_factory=lambda: dict(DEFAULT_LOSSES), validate_default=True
    )
    adversary: Adversary | None = None
    optimizer: Optimizer = Optimizer()
    crop: PositiveFloat | None = None  # seconds; the recipe's `data.crop` if not given
    batch: Positive | None = None  # likewise
    # Hz: only recordings that reach so high are drawn. Band-limited speech must never stand
    # before a discriminator as if it were real full-band speech.
    min_bandwidth: Annotated[float, Field(ge=0)] = 0
    # Highest share of frames that each item loses on the way to the decoder, in bursts: the
    # decoder then learns to conceal.
    lost_frames: Fraction = 0.0

    def __post_init__(self) -> None:
        adversarial = {"adversarial", "feature_matching"} & self.losses.keys()
        if adversarial and self.adversary is None:
            raise ValueError(f"stage {self.name}: {', '.join(adversarial)} needs an adversary")
        if self.adversary is not None and not adversarial:
            raise ValueError(f"stage {self.name}: an adversary needs the loss `adversarial`")
        if "quantizer" in self.trainable and "encoder" not in self.trainable:
            raise ValueError(f"stage {self.name}: the quantizer learns only with its encoder")


DEFAULT_LOSSES: dict[LossName, float] = {
    "mel": 1.0, "complex": 2.0, "magnitude": 2.0, "commitment": 0.1, "rate": 0.01
}  # fmt: skip


@config
class Validation:
    """Fixed clips of speakers that no source holds."""

    clips: tuple[str, ...] = ()  # files or folders
    seconds: PositiveFloat = 6  # of each clip
    pictures: Annotated[int, Field(ge=0)] = 3  # clips shown as audio and spectrogram
    every: PositiveFloat = 5  # minutes


@config
class Recipe:
    """Everything that decides a run."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*$")]
    data: Data
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)] = (Stage(),)
    codec: CodecConfig = CodecConfig()
    # Model (name or folder) to start from: every part of the same configuration, the quantizer
    # only together with the encoder.
    init: str | None = None
    quantization: Quantization = Quantization()
    # For vocoders: what `audiodec statistics` wrote (.npy); measured at the start if not given.
    statistics: str | None = None
    validation: Validation = Validation()
    resolutions: Positive = 2  # random STFT windows per step, for mel, complex and magnitude
    precision: Precision = "auto"  # bf16-mixed where the device is fast in it, else 32-true
    checkpoint_every: PositiveFloat = 3  # minutes
    seed: int = 0

    def __post_init__(self) -> None:
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names):
            raise ValueError(f"two stages share a name: {', '.join(names)}")
        if self.quantization.start_latents < self.codec.quantizer.codebook_size:
            raise ValueError("quantization.start_latents must be at least the codebook size")

    @property
    def steps(self) -> int:
        """Optimizer steps of all stages together."""
        return sum(stage.steps for stage in self.stages)
