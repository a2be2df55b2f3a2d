"""What codecs cost: the table of speeds, and operations against published counts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

import audiodec
from audiodec.cli.main import app
from audiodec.codec.codec import Codec as Network
from audiodec.evaluation.codecs import OursSpec
from audiodec.evaluation.quality import UncodedSpec
from audiodec.evaluation.speed import Race, model_size
from audiodec.export.cost import count_macs
from audiodec.training.recipe import load_recipe
from tests.tiny_codecs import CountedSpec

RECIPES = Path(__file__).parents[1] / "recipes" / "published"


def test_codecs_take_turns_and_every_one_has_a_row(
    small_folder: Path, speech: np.ndarray, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    specs = [OursSpec(str(small_folder), 3.2), CountedSpec(log, 8), UncodedSpec()]
    race = Race(specs, speech[:48000], rounds=3)
    found = list(race.run())
    ours, pcm, uncoded = (row for row in found if row is not None)
    assert found.count(None) == race.steps
    assert len(log.read_text()) == 1 + 3 + 1  # warm-up, rounds, memory
    assert (ours.kbps, pcm.kbps, pcm.latency_ms) == (3.2, 128, 10)
    for row in (ours, pcm, uncoded):
        assert 0 <= row.encode_rtf.median <= row.encode_rtf.p95
        assert row.memory_mb is None or 20 < row.memory_mb < 2000
    assert ours.encode_ms is not None
    assert ours.decode_ms is not None
    assert pcm.encode_ms is None


def test_operations_are_those_published() -> None:
    """The paper's symAD: 6.5 GMAC/s to encode and project, 6.6 to decode."""
    config = load_recipe(RECIPES / "symAD_vctk_48000_hop300.yaml").codec
    encode, decode = count_macs(Network(config).eval())
    search = config.quantizer.stages * config.quantizer.codebook_size * config.quantizer.dim
    assert (encode - search * config.frame_rate) / 1e9 == pytest.approx(6.5, abs=0.05)
    assert decode / 1e9 == pytest.approx(6.6, abs=0.05)


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
