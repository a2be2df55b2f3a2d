"""What a runtime does for the sessions: numpy in, numpy out, state passed and returned."""

from __future__ import annotations

from typing import Any, Protocol

from audiodec.arrays import Codes, Samples
from audiodec.config import ModelInfo
from audiodec.runtime.concealment import ConcealmentGraph

# Arrays or tensors of the runtime's own, by name; the first dimension is the stream.
State = dict[str, Any]

CHUNK_FRAMES = 256  # frames per step when a long signal is processed
NEXT = ".next"  # in the ONNX graphs, state `x` comes in as "x" and goes out as "x.next"


class Runtime(Protocol):
    """Runs one model. Streams are independent: they are the batch, and their state is a value."""

    info: ModelInfo
    name: str  # `onnx` or `torch`
    concealment: ConcealmentGraph | None  # where the model has one

    def encoder_state(self, batch: int) -> State:
        """Make the state of `batch` fresh encoder streams."""
        ...

    def encode(
        self, audio: Samples, state: State, num_codebooks: int, beam_width: int
    ) -> tuple[Codes, State]:
        """Code audio [batch, channels, frames * hop] as codes [batch, codebooks, frames].

        Args:
            beam_width: code sequences kept per frame while searching; 1 is the greedy search.
        """
        ...

    def latents(self, audio: Samples, state: State) -> tuple[Samples, State]:
        """Compute the latents before quantization, less their mean, [batch, dim, frames]."""
        ...

    def quantize(self, latents: Samples, num_codebooks: int, beam_width: int) -> Codes:
        """Find codes [batch, codebooks, frames] for centred latents [batch, dim, frames]."""
        ...

    def dequantize(self, codes: Codes) -> Samples:
        """Turn codes [batch, codebooks, frames], -1 where one is absent, into quantized latents
        [batch, dim, frames]."""
        ...

    def decoder_state(self, batch: int) -> State:
        """Make the state of `batch` fresh decoder streams."""
        ...

    def decode(self, codes: Codes, state: State) -> tuple[Samples, State]:
        """Decode codes [batch, codebooks, frames], -1 where one is absent, to audio [batch,
        channels, frames * hop]."""
        ...

    def decode_quantized(self, quantized: Samples, state: State) -> tuple[Samples, State]:
        """Decode quantized latents [batch, dim, frames] to audio, like `decode`."""
        ...
