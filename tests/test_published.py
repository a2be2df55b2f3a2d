"""Every published system, number for number, against ../shared/reference."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import audiodec
from audiodec.errors import ModelError
from audiodec.export.onnx import export_model
from audiodec.nn.network import Network
from audiodec.pretrained import ModelFolders
from audiodec.published.checkpoint import import_checkpoint
from audiodec.runtime.onnx import OnnxRuntime
from audiodec.runtime.torch import TorchRuntime
from tests.conftest import MadeOnce

REFERENCE = Path(__file__).parents[2] / "shared" / "reference"
AUTOENCODERS = (
    "symAD_vctk_48000_hop300", "symAD_c16_vctk_48000_hop320", "symAAD_vctk_48000_hop300",
    "symADuniv_vctk_48000_hop300", "symAD_libritts_24000_hop300",
    "denoise_symAD_vctk_48000_hop300",
)  # fmt: skip
VOCODERS = {
    "AudioDec_v0_symAD_vctk_48000_hop300_clean": "symAD_vctk_48000_hop300",
    "AudioDec_v1_symAD_vctk_48000_hop300_clean": "symAD_vctk_48000_hop300",
    "AudioDec_v2_symAD_vctk_48000_hop300_clean": "symAD_vctk_48000_hop300",
    "AudioDec_v3_symADuniv_vctk_48000_hop300_clean": "symADuniv_vctk_48000_hop300",
}
# Exports take their time: the graphs for WebAssembly of one autoencoder and one vocoder.
FOR_BROWSERS = (AUTOENCODERS[0], "AudioDec_v1_symAD_vctk_48000_hop300_clean")
pytestmark = pytest.mark.skipif(not REFERENCE.exists(), reason="../shared is not here")


def imported(name: str) -> Network:
    base = imported(VOCODERS[name]) if name in VOCODERS else None
    (checkpoint,) = (REFERENCE / name).glob("*.pkl")
    return import_checkpoint(checkpoint, None, base)


def close(ours: np.ndarray, theirs: np.ndarray) -> None:
    """Within 1e-5 of the signal's peak."""
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.parametrize("runtime_class", [TorchRuntime, OnnxRuntime])
@pytest.mark.parametrize("name", [*AUTOENCODERS, *VOCODERS])
def test_number_for_number(
    name: str,
    runtime_class: type[TorchRuntime | OnnxRuntime],
    made_once: MadeOnce,
) -> None:
    def export(folder: Path) -> None:
        export_model(
            imported(name), name[:24].lower(), folder, torch.float32,
            for_browsers=name in FOR_BROWSERS,
        )  # fmt: skip

    vectors = np.load(REFERENCE / name / "vectors.npz")
    runtime = runtime_class(ModelFolders.one(made_once(name, export)))
    window = int(vectors["window_frames"][0])
    state, decoded = runtime.decoder_state(1), []
    if name in AUTOENCODERS:
        codes = check_encoder(runtime, vectors)
        for start in range(0, codes.shape[1], window):
            audio, state = runtime.decode(codes[None, :, start : start + window], state)
            decoded.append(audio[0, 0])
    else:
        for start in range(0, vectors["quantized"].shape[1], window):
            piece = np.ascontiguousarray(vectors["quantized"][None, :, start : start + window])
            audio, state = runtime.decode_quantized(piece, state)
            decoded.append(audio[0, 0])
    close(np.concatenate(decoded), vectors["decoded_streaming"])


def check_encoder(runtime: TorchRuntime | OnnxRuntime, vectors: np.lib.npyio.NpzFile) -> np.ndarray:
    """Latents, codes and quantized latents; returns the reference's codes."""
    audio = vectors["waveform"][None, None]
    latents, _ = runtime.latents(audio, runtime.encoder_state(1))
    close(latents[0], vectors["latent"])
    num_codebooks = len(vectors["codes"])
    codes, _ = runtime.encode(audio, runtime.encoder_state(1), num_codebooks, 1)
    # With 16 codebooks the later ones code residuals below the rounding of the latents themselves:
    # there only the search on the reference's own latents can be exact.
    exact = min(num_codebooks, 7)
    assert np.array_equal(codes[0, :exact], vectors["codes"][:exact])
    searched = runtime.quantize(vectors["latent"][None], num_codebooks, 1)
    assert np.array_equal(searched[0], vectors["codes"])
    close(runtime.dequantize(vectors["codes"][None])[0], vectors["quantized"])
    return vectors["codes"]


def test_the_command_line_imports_and_composes(tmp_path: Path) -> None:
    """A vocoder with its autoencoder, and the denoiser's encoder before it."""
    (base,) = (REFERENCE / "symAD_vctk_48000_hop300").glob("*.pkl")
    (vocoder,) = (REFERENCE / "AudioDec_v1_symAD_vctk_48000_hop300_clean").glob("*.pkl")
    assert run_import(base, tmp_path / "symAD").returncode == 0
    refused = run_import(vocoder, tmp_path / "v1")
    assert refused.returncode == 1
    assert "--autoencoder" in refused.stderr
    made = run_import(vocoder, tmp_path / "v1", "--autoencoder", tmp_path / "symAD")
    assert made.returncode == 0, made.stderr
    codec = audiodec.load(encoder=tmp_path / "symAD", decoder=tmp_path / "v1")
    audio = np.zeros(3000, np.float32)
    assert codec.decode(codec.encode(audio), 3000).shape == (3000,)


def test_hostile_and_unfit_checkpoints_are_refused(tmp_path: Path) -> None:
    """Nothing in a pickle runs, and every tensor must have its place."""
    (good,) = (REFERENCE / "symAD_vctk_48000_hop300").glob("*.pkl")
    settings = good.parent / "config.yml"
    data = torch.load(good, weights_only=True)
    generator = data["model"]["generator"]
    spare = {**generator, "encoder.extra.weight": torch.zeros(1)}
    lacking = {k: v for k, v in generator.items() if k != "decoder.conv1.conv.weight"}
    bent = {**generator, "decoder.conv1.conv.weight": torch.zeros(2, 2, 2)}
    for tensors, words in ((spare, "no known place"), (lacking, "lacks"), (bent, "shape")):
        torch.save({"model": {"generator": tensors}}, tmp_path / "x.pkl")
        with pytest.raises(ModelError, match=words):
            import_checkpoint(tmp_path / "x.pkl", settings, None)
    mark = tmp_path / "ran"
    torch.save({"model": {"generator": Hostile(mark)}}, tmp_path / "x.pkl")
    (tmp_path / "text.pkl").write_text("no pickle")
    for name in ("x.pkl", "text.pkl", "missing.pkl"):
        with pytest.raises(ModelError, match="not a published checkpoint"):
            import_checkpoint(tmp_path / name, settings, None)
    assert not mark.exists()


class Hostile:
    """Unpickled carelessly, it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.mark,)


def run_import(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "audiodec", "import", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)
