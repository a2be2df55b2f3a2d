"""Neural peers: weights from a folder, random ones, and Lyra's packing on pretended graphs."""

from __future__ import annotations

import json
import math
import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest

import audiodec
from audiodec.evaluation.codecs import (
    code,
    find_specs,
)
from tests.codec_tools import peers


@pytest.mark.optional  # their packages are in no extra
@pytest.mark.parametrize(("name", "package"), [
    ("encodec", "transformers"), ("snac", "snac"),
    pytest.param("mimi", "transformers", marks=pytest.mark.slow),
    pytest.param("dac", "transformers", marks=pytest.mark.slow),
])  # fmt: skip
def test_neural_peers_with_weights_from_a_folder(
    name: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speech: np.ndarray
) -> None:
    """Random weights, saved as the published ones are: the real ones cannot be fetched here."""
    torch = pytest.importorskip("torch")
    pytest.importorskip(package)
    clip = speech[: 48000 // 2]
    first = peers(f"{name}-random")[0]
    assert "random weights, speed only" in first.name
    expected = code(first, clip)
    assert expected.audio.shape == clip.shape
    frames = math.ceil(0.5 * first.sample_rate / first.hop / first.frames) * first.frames
    assert expected.payload_bytes <= frames * first.codebooks * first.bits / 8
    monkeypatch.setenv("AUDIODEC_PEERS", str(tmp_path))
    folder = tmp_path / name
    if package == "transformers":
        first.network.save_pretrained(folder)
    else:
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({}))
        torch.save(first.network.state_dict(), folder / "pytorch_model.bin")
    loaded = peers(name)[0]
    assert "random" not in loaded.name
    np.testing.assert_allclose(code(loaded, clip).audio, expected.audio, atol=1e-5)
    weights = next(path for path in folder.iterdir() if path.name.split(".")[-1] != "json")
    weights.write_bytes(b"nonsense")
    with pytest.raises(audiodec.ModelError, match=str(folder)):
        find_specs([name], None)[0].create()


@pytest.fixture
def pretended_lyra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs in the place of Lyra's: they count frames and quantize 46 features to 4 bits."""

    class Interpreter:
        def __init__(self, model_path: str, num_threads: int) -> None:
            self.name, self.frames = Path(model_path).stem, 0
            self.shape = [1, 320] if self.name == "soundstream_encoder" else [1, 1, 64]

        def allocate_tensors(self) -> None: ...

        def get_input_details(self) -> list[dict[str, object]]:
            return [{"index": 0, "shape": self.shape}]

        def get_output_details(self) -> list[dict[str, object]]:
            return [{"index": 1}]

        def set_tensor(self, index: int, value: np.ndarray) -> None:
            self.value = value.ravel()

        def invoke(self) -> None:
            self.frames += 1
            if self.name == "soundstream_encoder":
                self.value = self.value[:64].reshape(1, 1, 64)
            else:
                self.value = np.pad(self.value, (0, 256))[None] + self.frames

        def get_tensor(self, index: int) -> np.ndarray:
            return self.value

        def get_signature_runner(self, name: str) -> object:
            return self.encode if name == "encode" else self.decode

        def encode(self, input_frames: np.ndarray, num_quantizers: np.ndarray) -> dict:
            return {"output_0": input_frames.ravel()[:46].astype(np.int32).reshape(46, 1, 1) & 15}

        def decode(self, encoding_indices: np.ndarray) -> dict:
            features = np.pad(encoding_indices.ravel(), (0, 18)).astype(np.float32)
            return {"output_0": features.reshape(1, 1, 64)}

    module = types.ModuleType("ai_edge_litert.interpreter")
    module.Interpreter = Interpreter  # type: ignore[attr-defined]
    package = types.ModuleType("ai_edge_litert")
    package.__spec__ = ModuleSpec(package.__name__, None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert", package)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", module)
    monkeypatch.setenv("AUDIODEC_PEERS", str(tmp_path))
    (tmp_path / "lyra").mkdir()
    for graph in ("soundstream_encoder", "quantizer", "lyragan"):
        (tmp_path / "lyra" / f"{graph}.tflite").touch()


@pytest.mark.usefixtures("pretended_lyra")
def test_lyra_packs_its_codes() -> None:
    """The protocol only: Lyra's own graphs are not to be had here."""
    for peer, size in zip(peers("lyra"), (8, 15, 23), strict=True):
        audio = np.arange(640, dtype=np.float32)
        packets = peer.encode(audio)
        assert [len(packet) for packet in packets] == [size, size]
        decoded = peer.decode(packets).reshape(2, 320)
        used = 2 * size
        for frame in range(2):  # a fresh stream counts from one
            codes = decoded[frame] - (frame + 1)
            np.testing.assert_array_equal(codes[:used], (320 * frame + np.arange(used)) % 16)
            assert (codes[used:46] == -1).all()
        assert peer.kbps == size * 8 / 20
