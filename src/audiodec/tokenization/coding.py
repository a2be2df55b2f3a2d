"""One file to its codes: what every worker does, wherever it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import audiodec
from audiodec.arrays import Codes, Samples
from audiodec.audio_files.blocks import Blocks
from audiodec.audio_files.reading import open_audio
from audiodec.bitstream.container import MAX_CHANNELS
from audiodec.errors import AudioDecError, AudioError, ModelError
from audiodec.pretrained import WEIGHTS
from audiodec.runtime.base import CHUNK_FRAMES, State
from audiodec.runtime.steps import Steps
from audiodec.tokenization.listing import File

MAX_REASON_CHARACTERS = 200  # characters kept of what went wrong with a file


@dataclass(frozen=True)
class Job:
    """What a worker must know; it can be sent to another process or machine.

    Attributes:
        model: bundled model, or a model folder that every worker finds under this path.
        weights: SHA-256 of the weights, so that no worker codes with another model.
    """

    model: str
    weights: str
    codebooks: int
    beam_width: int


@dataclass(frozen=True)
class Tokens:
    """The codes of a file, and what is known of it.

    Attributes:
        number: of the file in the list.
        samples: at the model's rate, what `Codec.decode` wants to be told as the length.
        original_rate, original_samples: of the file.
        codes: [codebooks, frames].
        missing_seconds: that the file should hold but does not.
        warnings: lines that say what is wrong with the file.
    """

    number: int
    samples: int
    original_rate: int
    original_samples: int
    codes: NDArray[np.uint16]
    missing_seconds: float = 0.0
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failure:
    """A file that could not be coded, and why."""

    number: int
    reason: str


Outcome = Tokens | Failure


class Tokenizer:
    """A loaded model that turns files into codes, on one thread.

    Raises:
        ModelError: no such model here, or other weights than the job's.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._codec = audiodec.load(job.model)
        if self._codec.info.files[WEIGHTS] != job.weights:
            raise ModelError(f"model {job.model} has other weights on this worker: copy it anew")

    def __call__(self, file: File) -> Outcome:
        """Code a file; whatever is wrong with it is an outcome, not an error."""
        try:
            return self._code(file)
        except AudioDecError as error:
            reason = str(error)
        except Exception as error:  # one odd file must not end a job of days
            reason = f"{type(error).__name__}: {error}"
        return Failure(file.number, " ".join(reason.split())[:MAX_REASON_CHARACTERS])

    def _code(self, file: File) -> Tokens:
        if not Path(file.location).is_file():  # a pipe or device could block for ever
            raise AudioError(f"{file.path} cannot be read: no such file")
        codec, together = self._codec, self._codec.channels
        with open_audio(file.location) as audio:
            if audio.channels > MAX_CHANNELS or (together > 1 and audio.channels != together):
                raise AudioError(f"{audio.channels} channels, the model takes {together}")
            blocks = Blocks(audio, codec.sample_rate, codec.hop, CHUNK_FRAMES, mono=together == 1)
            steps = Steps(self._encode, codec.runtime.encoder_state(1))
            # A codebook has at most 2^16 entries.
            codes = [c[0].astype(np.uint16) for c in steps.through(b[None] for b in blocks)]
            if not codes:
                raise AudioError("it holds no audio")
            return Tokens(
                file.number, blocks.samples, audio.rate, blocks.samples_read,
                np.concatenate(codes, axis=1), audio.missing_seconds, audio.warnings,
            )  # fmt: skip

    def _encode(self, audio: Samples, state: State) -> tuple[Codes, State]:
        job = self._job
        return self._codec.runtime.encode(audio, state, job.codebooks, job.beam_width)
