"""A trained codec as a model folder: weights, two ONNX graphs, `model.json`.

The graphs hold no weights of their own. Their initializers point into `weights.safetensors`, so
torch and onnxruntime read the same bytes and the folder holds them once, as float16 or float32;
both compute in float32. The export compares the graphs with torch and fails when they differ.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import struct
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxscript
import torch
from onnx_ir.passes.common import RemoveUnusedNodesPass
from safetensors.torch import save
from torch import Tensor, nn

from audiodec.arrays import Codes, Samples
from audiodec.config import ModelInfo, from_data, to_data
from audiodec.errors import ModelError
from audiodec.export.joins import join_channels_last
from audiodec.export.layers import for_graphs
from audiodec.export.layout import squeeze_late
from audiodec.export.translations import GENERAL, NATIVE
from audiodec.nn.network import Network
from audiodec.nn.streaming import State
from audiodec.pretrained import (
    DECODER,
    ENCODER,
    INFO,
    WASM_DECODER,
    WASM_ENCODER,
    WEIGHTS,
    ModelFolders,
)
from audiodec.runtime.base import NEXT, Runtime
from audiodec.runtime.onnx import OnnxRuntime
from audiodec.runtime.torch import TorchRuntime

OPSET = 23  # the first with RMSNormalization as one node
STORED = {"F16": onnx.TensorProto.FLOAT16, "F32": onnx.TensorProto.FLOAT}
PARITY_CHUNKS = (1, 2, 97, 200)  # frames
NATIVE_GRAPHS, WASM_GRAPHS = (ENCODER, DECODER), (WASM_ENCODER, WASM_DECODER)
TOLERANCE = 1e-4  # of a full-scale waveform, between torch and onnxruntime


class EncoderGraph(nn.Module):
    """audio [batch, channels, frames * hop], state -> codes, latents, state."""

    signal, outputs = "audio", ("codes", "latents")

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.encoder, self.quantizer = network.encoder, network.quantizer

    def forward(self, audio: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        latents, after = self.encoder.step(audio, state)
        return self.quantizer.encode(latents), latents, {key: after[key] for key in state}


class DecoderGraph(nn.Module):
    """quantized latents [batch, dim, frames], state -> audio, state."""

    signal, outputs = "quantized", ("audio",)

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.decoder = network.decoder

    def forward(self, quantized: Tensor, state: State) -> tuple[Tensor, State]:
        audio, after = self.decoder.step(quantized, state)
        return audio, {key: after[key] for key in state}


def export_model(
    network: Network,
    model_id: str,
    folder: Path,
    dtype: torch.dtype = torch.float16,
    *,
    for_browsers: bool = True,
) -> ModelInfo:
    """Write a model folder; all of it appears at once, after the parity check.

    Args:
        network: The network, e.g. of `trained_network`.
        model_id: The name that files made with it bear, up to 24 ASCII characters.
        folder: The folder to write; it must not exist.
        dtype: In which weights are stored, float16 or float32; codebooks are always float32.
        for_browsers: Whether to write the graphs for WebAssembly, too, which takes as long again.
            Without them browsers use the others, at half the speed.

    Raises:
        ModelError: The folder exists, or a graph differs from torch by more than 1e-4.
        ConfigError: The id does not fit an .adc header.
    """
    info = from_data(ModelInfo, {"id": model_id, "codec": network.config, "files": {}}, "model")
    if folder.exists():
        raise ModelError(f"{folder} already exists: choose another folder or remove it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    network = network.eval()
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        work = Path(temporary) / folder.name
        work.mkdir()
        # Codebooks keep every bit: models that share them must see that they do.
        state = {
            k: v.to(torch.float32 if k.startswith("quantizer.") else dtype).contiguous()
            for k, v in network.state_dict().items()
        }
        network.load_state_dict({k: v.float() for k, v in state.items()})
        (work / WEIGHTS).write_bytes(save(state))
        _export_graphs(for_graphs(network), work, NATIVE_GRAPHS, native=True)
        names = [WEIGHTS, *NATIVE_GRAPHS]
        if for_browsers:
            _export_graphs(network, work, WASM_GRAPHS, native=False)
            names += WASM_GRAPHS
        hashes = {n: hashlib.sha256((work / n).read_bytes()).hexdigest() for n in names}
        info = dataclasses.replace(info, files=hashes)
        (work / INFO).write_text(json.dumps(to_data(info), indent=2) + "\n", encoding="utf-8")
        check_parity(network, work)
        os.replace(work, folder)
    return info


def _export_graphs(network: Network, folder: Path, names: tuple[str, str], native: bool) -> None:
    """Write encoder and decoder."""
    config, many_frames = network.config, torch.export.Dim("frames")
    _export_graph(
        EncoderGraph(network),
        torch.zeros(2, config.channels, 3 * config.hop),
        network.encoder.initial_state(2),
        {2: config.hop * many_frames},
        folder / names[0],
        native,
    )
    _export_graph(
        DecoderGraph(network),
        torch.zeros(2, config.quantizer.dim, 3),
        network.decoder.initial_state(2),
        {2: many_frames},
        folder / names[1],
        native,
    )


def _export_graph(
    graph: EncoderGraph | DecoderGraph,
    example: Tensor,
    state: State,
    shape: dict[int, Any],
    path: Path,
    native: bool,
) -> None:
    """Write one graph with its state as named inputs and outputs and a dynamic batch.

    Args:
        native: in the layout of onnxruntime's kernels for CPUs; else with matrix products, which
            are what its kernels for WebAssembly do fastest.
        shape: of `example`: dimension -> torch.export dimension, batch excluded.
    """
    batch = torch.export.Dim("batch", min=1)
    with warnings.catch_warnings(), quiet():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph.eval(),
            (example,),
            kwargs={"state": state},
            dynamo=True,
            optimize=False,  # its rewriter drops "+ 1e-9" before a logarithm
            verbose=False,
            opset_version=OPSET,
            custom_translation_table=NATIVE if native else GENERAL,
            input_names=[graph.signal, *state],
            output_names=[*graph.outputs, *(key + NEXT for key in state)],
            dynamic_shapes={
                graph.signal: {0: batch, **shape},
                "state": {key: {0: batch} for key in state},
            },
        )
    assert program is not None
    # Weights stay as they are: they live in the safetensors file.
    onnxscript.optimizer.fold_constants(program.model, should_fold=_no_weight)
    if native:
        squeeze_late(program.model.graph)
        join_channels_last(program.model.graph)
    RemoveUnusedNodesPass()(program.model)
    model = program.model_proto
    for node in model.graph.node:
        del node.metadata_props[:]  # which lines of ours each came from: as large as the graph
    _share_weights(model, path.parent / WEIGHTS)
    onnx.save(model, path)


def _no_weight(node: Any) -> bool | None:
    """Whether to fold a node; None leaves it to the optimizer's own limits of size."""
    return False if any(value and value.is_initializer() for value in node.inputs) else None


def _share_weights(model: onnx.ModelProto, weights: Path) -> None:
    """Let every initializer that is a weight point into the safetensors file; half floats are
    cast to float32.

    Raises:
        ModelError: a weight is missing from the graph's initializers or changed by the exporter.
    """
    with weights.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        table = json.loads(file.read(size))
    casts = []
    for initializer in model.graph.initializer:
        entry = table.get(initializer.name)
        if entry is None:
            continue  # a constant of the architecture, e.g. the DCT
        if list(initializer.dims) != entry["shape"] or entry["dtype"] not in STORED:
            raise ModelError(f"export changed the shape or type of {initializer.name}")
        begin, end = entry["data_offsets"]
        name, kind = initializer.name, STORED[entry["dtype"]]
        half = kind == onnx.TensorProto.FLOAT16
        initializer.Clear()
        initializer.name = f"{name}.f16" if half else name
        initializer.dims.extend(entry["shape"])
        initializer.data_type = kind
        initializer.data_location = onnx.TensorProto.EXTERNAL
        place = {"location": weights.name, "offset": 8 + size + begin, "length": end - begin}
        for key, value in place.items():
            initializer.external_data.add(key=key, value=str(value))
        if half:
            casts.append(
                onnx.helper.make_node("Cast", [initializer.name], [name], to=onnx.TensorProto.FLOAT)
            )
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    kept = [value for value in model.graph.value_info if value.name not in table]
    del model.graph.value_info[:]
    model.graph.value_info.extend(kept)


def check_parity(network: Network, folder: Path) -> None:
    """Compare onnxruntime with torch on two streams of noise, in uneven chunks.

    Raises:
        ModelError: decoded audio, or latents relative to their peak, differ by more than 1e-4.
    """
    random, q, model = np.random.default_rng(0), network.config.quantizer, ModelFolders.one(folder)
    audio = random.normal(
        0, 0.1, (2, network.config.channels, sum(PARITY_CHUNKS) * network.config.hop)
    )
    codes = random.integers(q.codebook_size, size=(2, q.codebooks, sum(PARITY_CHUNKS)))
    true_latents, true_sound = _run(TorchRuntime(model), audio.astype(np.float32), codes)
    for graphs in (NATIVE_GRAPHS, WASM_GRAPHS):
        if not (folder / graphs[0]).exists():
            continue
        runtime = OnnxRuntime(model, graphs=graphs)
        latents, sound = _run(runtime, audio.astype(np.float32), codes)
        worst = max(
            float(np.abs(latents - true_latents).max() / np.abs(true_latents).max()),
            float(np.abs(sound - true_sound).max() / max(1.0, float(np.abs(true_sound).max()))),
        )
        if not worst <= TOLERANCE:
            raise ModelError(
                f"the graphs {', '.join(graphs)} differ from torch by {worst:.1e} (> {TOLERANCE})"
            )


def _run(runtime: Runtime, audio: Samples, codes: Codes) -> tuple[Samples, Samples]:
    """Latents of the audio and sound of the codes, streamed."""
    encoder, decoder = runtime.encoder_state(2), runtime.decoder_state(2)
    hop, end = runtime.info.codec.hop, 0
    latents, sound = [], []
    for frames in PARITY_CHUNKS:
        start, end = end, end + frames
        found, encoder = runtime.latents(audio[..., start * hop : end * hop], encoder)
        latents.append(found)
        found, decoder = runtime.decode(codes[..., start:end], decoder)
        sound.append(found)
    return np.concatenate(latents, axis=2), np.concatenate(sound, axis=2)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what the exporter logs about optional packages that do not concern us."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
