"""Lyra v2 (Google, 2022; Apache-2.0): SoundStream at 16 kHz as three TFLite graphs.

The graphs are the user's: `soundstream_encoder`, `quantizer` and `lyragan` of Lyra's repository.
They keep their state inside, so every stream takes new interpreters.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from audiodec.arrays import Samples
from audiodec.bitstream.packet import pack, unpack
from audiodec.errors import ModelError
from audiodec.evaluation.codecs.base import Family, MissingCodecError, home
from audiodec.evaluation.codecs.live import Live

RATES = {3.2: 16, 6.0: 30, 9.2: 46}  # kbps -> codes per frame
CODE_BITS = 4  # per code
MAX_CODES = 46
UNUSED = -1  # what the quantizer takes for a code that was not sent
FRAME_SAMPLES = 320  # samples: 20 ms
ENCODER, QUANTIZER, DECODER = GRAPHS = (
    "soundstream_encoder.tflite", "quantizer.tflite", "lyragan.tflite"
)  # fmt: skip


class Lyra(Live):
    """Lyra v2 at one of its rates.

    Args:
        kbps: one of RATES.

    Raises:
        MissingCodecError: the interpreter or a graph is not here.
    """

    family = "Lyra v2"
    sample_rate = 16000
    latency_ms = 1000 * FRAME_SAMPLES / sample_rate
    streaming = True
    frame = FRAME_SAMPLES

    def __init__(self, kbps: float) -> None:
        if reason := missing():
            raise MissingCodecError(reason)
        self.kbps, self.codes = kbps, RATES[kbps]
        self.name = f"{self.family} {kbps:g}"

    @contextmanager
    def encoder(self) -> Iterator[Callable[[Samples], bytes]]:
        encoder, quantizer = _Graph(ENCODER), _interpreter(QUANTIZER).get_signature_runner("encode")
        count = np.array(self.codes, np.int32)

        def encode(frame: Samples) -> bytes:
            found = quantizer(input_frames=encoder(frame), num_quantizers=count)["output_0"]
            return pack(found.reshape(-1, 1)[: self.codes].astype(np.int64), CODE_BITS)

        yield encode

    @contextmanager
    def decoder(self) -> Iterator[Callable[[bytes], Samples]]:
        decoder, quantizer = _Graph(DECODER), _interpreter(QUANTIZER).get_signature_runner("decode")

        def decode(packet: bytes) -> Samples:
            codes = np.full((MAX_CODES, 1, 1), UNUSED, np.int32)
            codes[: self.codes, 0] = unpack(packet, 1, self.codes, CODE_BITS)
            return decoder(quantizer(encoding_indices=codes)["output_0"]).ravel()

        yield decode


class _Graph:
    """A graph of one input and one output, with its state."""

    def __init__(self, name: str) -> None:
        self._interpreter = _interpreter(name)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]["index"]

    def __call__(self, values: Samples) -> Samples:
        shaped = values.reshape(self._input["shape"])
        self._interpreter.set_tensor(self._input["index"], shaped)
        self._interpreter.invoke()
        return np.asarray(self._interpreter.get_tensor(self._output), np.float32)


def _interpreter(name: str) -> Any:
    """Load a graph. Raises ModelError when the file is none."""
    from ai_edge_litert.interpreter import Interpreter

    path = home("lyra") / name
    try:
        return Interpreter(model_path=str(path), num_threads=1)
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"{path} is no TFLite graph: {str(error).splitlines()[0]}") from None


def missing() -> str | None:
    """Say how to get the codec; None where it is there."""
    if importlib.util.find_spec("ai_edge_litert") is None:
        return "Lyra v2 needs its interpreter: pip install ai-edge-litert"
    absent = [name for name in GRAPHS if not (home("lyra") / name).is_file()]
    if absent:
        folder = home("lyra")
        return (
            f"Lyra v2 needs {', '.join(absent)} of its repository (lyra/model_coeffs) in {folder}"
        )
    return None


FAMILY = Family(Lyra, tuple(RATES), missing=missing)
