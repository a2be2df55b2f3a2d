"""The default runtime: onnxruntime, one thread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from audiodec.arrays import Codes, Samples
from audiodec.pretrained import DECODER, ENCODER, WEIGHTS, ModelFolders
from audiodec.runtime.base import NEXT, State
from audiodec.runtime.codebooks import Codebooks
from audiodec.runtime.concealment import find_concealment
from audiodec.runtime.graph import open_session


class OnnxRuntime:
    """Runs the ONNX graphs of a model: one folder, or an encoder's and a decoder's.

    Nothing in it changes, so that threads and copies share it. Pickled, it is its model's name or
    folder and hashes, and is loaded anew.

    Args:
        model: checked folders.
        threads: CPU threads of each operation.
        graphs: file names of encoder and decoder.

    Raises:
        ModelError: a graph cannot be loaded.
    """

    name = "onnx"

    def __init__(
        self,
        model: ModelFolders,
        threads: int = 1,
        graphs: tuple[str, str] = (ENCODER, DECODER),
    ) -> None:
        self._model, self._threads, self._graphs = model, threads, graphs
        self.info = model.info
        self.codebooks = Codebooks.read(model.encoder / WEIGHTS)
        self._encoder = _Graph(model.encoder / graphs[0], ["codes", "latents"], threads)
        self._decoder = _Graph(model.decoder / graphs[1], ["audio"], threads)
        self.concealment = find_concealment(model, threads)

    def __reduce__(self) -> tuple[type[OnnxRuntime], tuple[ModelFolders, int, tuple[str, str]]]:
        return type(self), (self._model, self._threads, self._graphs)

    def __deepcopy__(self, memo: dict[int, Any]) -> OnnxRuntime:
        return self

    def encoder_state(self, batch: int) -> State:
        return self._encoder.initial_state(batch)

    def encode(
        self, audio: Samples, state: State, num_codebooks: int, beam_width: int
    ) -> tuple[Codes, State]:
        (codes, latents), state = self._encoder.step("audio", audio, state)
        if beam_width > 1:
            return self.quantize(self._centred(latents), num_codebooks, beam_width), state
        return codes[:, :num_codebooks], state  # the greedy search is inside the graph

    def latents(self, audio: Samples, state: State) -> tuple[Samples, State]:
        (_, latents), state = self._encoder.step("audio", audio, state)
        return self._centred(latents), state

    def quantize(self, latents: Samples, num_codebooks: int, beam_width: int) -> Codes:
        return self.codebooks.search(latents, num_codebooks, beam_width)

    def dequantize(self, codes: Codes) -> Samples:
        return self.codebooks.decode(codes)

    def decoder_state(self, batch: int) -> State:
        return self._decoder.initial_state(batch)

    def decode(self, codes: Codes, state: State) -> tuple[Samples, State]:
        return self.decode_quantized(self.dequantize(codes), state)

    def decode_quantized(self, quantized: Samples, state: State) -> tuple[Samples, State]:
        (audio,), state = self._decoder.step("quantized", quantized, state)
        return audio, state

    def _centred(self, latents: Samples) -> Samples:
        return latents - self.codebooks.mean[:, None]


class _Graph:
    """An ONNX graph whose inputs are one signal and its state, read off the graph itself."""

    def __init__(self, path: Path, outputs: list[str], threads: int) -> None:
        self.session = open_session(path, threads)
        given = {i.name: i.shape for i in self.session.get_inputs()}
        names = [o.name for o in self.session.get_outputs()]
        self.keys = [name.removesuffix(NEXT) for name in names if name.endswith(NEXT)]
        self.shapes = {key: given[key][1:] for key in self.keys}  # without the batch
        self.signals = outputs
        self.outputs = outputs + [key + NEXT for key in self.keys]

    def initial_state(self, batch: int) -> dict[str, Samples]:
        return {key: np.zeros((batch, *s), np.float32) for key, s in self.shapes.items()}

    def step(
        self, name: str, signal: Samples | Codes, state: dict[str, Samples]
    ) -> tuple[list[Any], dict[str, Samples]]:
        """Values of `outputs`, and the state after.

        Arrays go in and come out faster than onnxruntime's own values, whose wrappers cost more
        in Python (0.06 ms for ten of them) than they save.
        """
        results = self.session.run(self.outputs, {name: np.ascontiguousarray(signal), **state})
        n = len(self.signals)
        return results[:n], dict(zip(self.keys, results[n:], strict=True))
