"""What a runtime does for the sessions: numpy in, numpy out, state passed and returned."""

from __future__ import annotations

from typing import Any, Protocol

from audiodec.arrays import Codes, Samples
from audiodec.config import ModelInfo

# Arrays or tensors of the runtime's own, by name; the first dimension is the stream.
State = dict[str, Any]

CHUNK = 256  # frames per step when a long signal is processed
NEXT = ".next"  # in the ONNX graphs, state `x` comes in as "x" and goes out as "x.next"


class Runtime(Protocol):
    """Runs one model. Streams are independent: they are the batch, and their state is a value."""

    info: ModelInfo
    name: str  # `onnx` or `torch`

    def encoder_state(self, batch: int) -> State:
        """State of `batch` fresh encoder streams."""
        ...

    def encode(
        self, audio: Samples, state: State, num_codebooks: int, beam_width: int
    ) -> tuple[Codes, State]:
        """Audio [batch, channels, frames * hop] -> codes [batch, codebooks, frames].

        Args:
            beam_width: code sequences kept per frame while searching; 1 is the greedy search.
        """
        ...

    def latents(self, audio: Samples, state: State) -> tuple[Samples, State]:
        """What the encoder gives before quantization, less its mean, [batch, dim, frames]."""
        ...

    def quantize(self, latents: Samples, num_codebooks: int, beam_width: int) -> Codes:
        """Latents less their mean, [batch, dim, frames] -> codes [batch, codebooks, frames]."""
        ...

    def dequantize(self, codes: Codes) -> Samples:
        """Codes [batch, codebooks, frames], -1 where one is absent -> quantized latents
        [batch, dim, frames]."""
        ...

    def decoder_state(self, batch: int) -> State:
        """State of `batch` fresh decoder streams."""
        ...

    def decode(self, codes: Codes, state: State) -> tuple[Samples, State]:
        """Codes [batch, codebooks, frames], -1 where one is absent -> audio
        [batch, channels, frames * hop]."""
        ...

    def decode_quantized(self, quantized: Samples, state: State) -> tuple[Samples, State]:
        """Quantized latents [batch, dim, frames] -> audio, like `decode`."""
        ...
