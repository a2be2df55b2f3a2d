"""The exported folder: named state, any batch, shared weights, a parity check that fails."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from audiodec.config import (
    CodecConfig,
    HifiganDecoderConfig,
    QuantizerConfig,
    SeanetEncoderConfig,
)
from audiodec.errors import ModelError
from audiodec.export import onnx as export
from audiodec.nn.network import Network


def test_the_graphs_name_their_state_and_hold_no_weights(small_folder: Path) -> None:
    for name, signal, parts in (
        ("encoder.onnx", "audio", {"features", "blocks"}),
        ("decoder.onnx", "quantized", {"blocks", "head"}),
    ):
        session = onnxruntime.InferenceSession(str(small_folder / name))
        inputs = {i.name: i.shape for i in session.get_inputs()}
        outputs = [o.name for o in session.get_outputs()]
        state = [key for key in inputs if key != signal]
        assert {key.split(".")[0] for key in state} == parts
        assert {f"{key}.next" for key in state} < set(outputs)
        assert all(shape[0] == "batch" for shape in inputs.values())
        model = onnx.load(small_folder / name, load_external_data=False)
        onnx.checker.check_model(small_folder / name, full_check=True)
        external = [i for i in model.graph.initializer if i.external_data]
        assert len(external) > 10
        for initializer in external:
            places = {entry.key: entry.value for entry in initializer.external_data}
            assert places["location"] == "weights.safetensors"


def test_convolutions_stay_in_four_dimensions(small_folder: Path) -> None:
    # What lies between them would cost onnxruntime its blocked layout.
    for name in ("encoder.onnx", "decoder.onnx"):
        nodes = onnx.load(small_folder / name, load_external_data=False).graph.node
        makers = {output: node.op_type for node in nodes for output in node.output}
        for node in nodes:
            if node.op_type in ("Add", "Mul", "Sigmoid", "RMSNormalization", "Unsqueeze"):
                assert "Squeeze" not in {makers.get(value) for value in node.input[:1]}


def test_past_and_present_join_with_channels_last(tmp_path: Path) -> None:
    network = Network(
        CodecConfig(
            sample_rate=16000,
            hop=20,
            encoder=SeanetEncoderConfig(kind="seanet", channels=4, ratios=(2, 4), strides=(4, 5)),
            quantizer=QuantizerConfig(codebooks=2, codebook_size=16, dim=8),
            decoder=HifiganDecoderConfig(
                kind="hifigan", channels=16, strides=(5, 4), kernels=(3,), groups=3
            ),
        )
    )
    export.export_model(network, "joins", tmp_path / "joins")  # compares with torch in any chunks
    for name, waveforms in (("encoder.onnx", 1), ("decoder.onnx", 0)):
        onnx.checker.check_model(tmp_path / "joins" / name, full_check=True)
        graph = onnx.load(tmp_path / "joins" / name, load_external_data=False).graph
        states = {i.name: i.type.tensor_type.shape.dim for i in graph.input[1:]}
        axes = {n.input[0]: n.attribute[0].i for n in graph.node if n.op_type == "Concat"}
        first = [key for key, shape in states.items() if len(shape) == 3]
        assert [states[key][1].dim_value for key in first] == [1] * waveforms
        assert len(states) > 5
        for key in states.keys() - set(first):
            assert (len(states[key]), states[key][1].dim_value, axes[key]) == (4, 1, 2)


def test_any_batch(small_folder: Path) -> None:
    session = onnxruntime.InferenceSession(str(small_folder / "decoder.onnx"))
    for batch, frames in ((1, 1), (5, 3)):
        feed = {
            i.name: np.zeros((batch, *i.shape[1:]), np.float32) for i in session.get_inputs()[1:]
        }
        feed["quantized"] = np.zeros((batch, 8, frames), np.float32)
        assert session.run(["audio"], feed)[0].shape == (batch, 1, frames * 160)


def test_a_difference_fails_the_export_and_leaves_nothing(
    small_network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = export._share_weights

    def spoiled(model: onnx.ModelProto, weights: Path) -> None:
        real(model, weights)
        for node in model.graph.node:
            if node.op_type == "Exp":  # as if the exporter had mistaken one function
                node.op_type = "Softplus"

    monkeypatch.setattr(export, "_share_weights", spoiled)
    with pytest.raises(ModelError, match="differ from torch"):
        export.export_model(small_network, "spoiled", tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_model_json_tells_all(small_folder: Path) -> None:
    info = json.loads((small_folder / "model.json").read_text())
    assert info["id"] == "small"
    assert info["codec"]["hop"] == 160
    assert set(info["files"]) == {
        "weights.safetensors", "encoder.onnx", "decoder.onnx", "encoder.wasm.onnx",
        "decoder.wasm.onnx",
    }  # fmt: skip
