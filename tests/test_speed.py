"""What codecs cost: the table of speeds, and operations against published counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from typer.testing import CliRunner

import audiodec
from audiodec.cli.main import app
from audiodec.evaluation.codecs import OursSpec, code
from audiodec.evaluation.codecs.neural.base import Neural
from audiodec.evaluation.quality import UncodedSpec
from audiodec.evaluation.speed import Race, model_size
from audiodec.export.cost import network_macs
from audiodec.nn.network import Network
from audiodec.training.recipe_file import load_recipe
from tests.tiny_codecs import CountedSpec, FramesSpec

RECIPES = Path(__file__).parents[1] / "recipes" / "published"


def test_codecs_take_turns_and_every_one_has_a_row(
    small_folder: Path, speech: np.ndarray, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    specs = [OursSpec(str(small_folder), 3.2), CountedSpec(log, 8), FramesSpec(), UncodedSpec()]
    race = Race(specs, speech[:48000], rounds=3)
    found = list(race.run())
    ours, pcm, live, uncoded = (row for row in found if row is not None)
    assert found.count(None) == race.steps
    assert len(log.read_text()) == 1 + 3 + 1  # warm-up, rounds, memory
    assert (ours.kbps, pcm.kbps, pcm.latency_ms) == (3.2, 128, 10)
    for row in (ours, pcm, live, uncoded):
        assert 0 <= row.encode_rtf.median <= row.encode_rtf.p95
        assert row.memory_mb is None or 20 < row.memory_mb < 2000
    for row in (ours, live):
        assert row.encode_ms is not None
        assert row.decode_ms is not None
    assert (ours.packet_ms, live.packet_ms) == (ours.latency_ms, 20)
    assert (pcm.packet_ms, pcm.encode_ms, pcm.decode_ms) == (None, None, None)


def test_operations_are_those_published() -> None:
    """The paper's symAD: 6.5 GMAC/s to encode and project, 6.6 to decode."""
    config = load_recipe(RECIPES / "symAD_vctk_48000_hop300.yaml").codec
    encode, decode = network_macs(Network(config).eval())
    search = config.quantizer.codebooks * config.quantizer.codebook_size * config.quantizer.dim
    assert (encode - search * config.frame_rate) / 1e9 == pytest.approx(6.5, abs=0.05)
    assert decode / 1e9 == pytest.approx(6.6, abs=0.05)


class Known(Neural):
    """One of each kind of layer, so that the operations are known."""

    title, key, package, repository, files = "known", "known", "torch", "", ()
    sample_rate, hop, bits, streaming = 16000, 320, 8, True

    def create(self, package: Any) -> Any:
        network = package.nn.Module()
        network.down = package.nn.Conv1d(1, 16, 320, 320)
        network.recurrence = package.nn.LSTM(16, 16)
        network.codebook = package.nn.Embedding(256, 16)
        network.up = package.nn.ConvTranspose1d(16, 1, 320, 320)
        return network

    def load(self, package: Any, folder: Path) -> Any:
        raise NotImplementedError

    def codes(self, audio: torch.Tensor) -> NDArray[np.int64]:
        frames = self.network.recurrence(self.network.down(audio).permute(2, 0, 1))[0]
        heads = frames.permute(1, 0, 2)[None]  # one: [batch, heads, frames, 16]
        heard = torch.nn.functional.scaled_dot_product_attention(heads, heads, heads)[0]
        return torch.cdist(heard, self.network.codebook.weight[None]).argmin(-1).numpy()

    def audio(self, codes: NDArray[np.int64]) -> torch.Tensor:
        return self.network.up(self.network.codebook(torch.from_numpy(codes)).mT)


def test_operations_of_peers_are_counted_in_every_kind_of_layer() -> None:
    """Among them are kernels that torch's own counter does not see."""
    peer = Known(0.4, untrained=True)
    assert code(peer, np.zeros(48000, np.float32)).payload_bytes == 50  # it does work
    convolution, recurrence, attention, search = 320 * 16, 2 * 4 * 16 * 16, 2 * 50 * 16, 256 * 16
    cost = peer.cost()
    assert cost.encode_macs == 50 * (convolution + recurrence + attention + search)
    assert cost.decode_macs == 50 * convolution
    biases = 16 + 2 * 4 * 16 + 1
    assert cost.parameters == 2 * convolution + recurrence + search + biases
    assert cost.model_mb == pytest.approx(4e-6 * cost.parameters)


def test_size_is_counted_from_the_files(small_folder: Path, small_network: Network) -> None:
    size, parameters = model_size(small_folder)
    assert parameters == sum(tensor.numel() for tensor in small_network.state_dict().values())
    assert size == sum(path.stat().st_size for path in small_folder.iterdir()) / 1e6
    with pytest.raises(audiodec.ModelError, match="cannot be read"):
        model_size(small_folder / "nothing")


def test_the_command_prints_json(tmp_path: Path, speech: np.ndarray) -> None:
    soundfile.write(tmp_path / "clip.wav", speech[:24000], 48000)
    options = ["--codec", "ours", "--codec", "none", "--bitrate", "12", "--rounds", "3", "--json"]
    options += ["--clip", str(tmp_path / "clip.wav")]
    result = CliRunner().invoke(app, ["bench", "speed", *options])
    assert result.exit_code == 0, result.output
    ours, uncoded = json.loads(result.stdout)
    name = f"AudioDec {audiodec.load().info.id} 12"
    assert (ours["codec"], uncoded["codec"]) == (name, "uncoded")
    assert ours["packet_ms"] == pytest.approx(320 / 48)
    assert ours["encode_macs"] > 1e8
    assert (uncoded["parameters"], uncoded["encode_ms"]) == (None, None)
