"""Training on other devices, as far as a machine without one can tell.

Fake tensors know shapes and devices and hold no values: with the network on the `meta` device,
whatever mixes devices or asks a tensor for its value raises.
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from typer.testing import CliRunner

from audiodec.cli.main import app
from audiodec.errors import ConfigError
from audiodec.nn.network import Network
from audiodec.training.adversary import AdversarialLoss
from audiodec.training.codebooks import kmeans
from audiodec.training.data import Batch
from audiodec.training.device import Hardware, resolve_precision
from audiodec.training.discriminators import Discriminators
from audiodec.training.init import with_weight_norm
from audiodec.training.recipe_file import load_recipe
from audiodec.training.step import TrainingStep, codebook_learner

RECIPES = sorted((Path(__file__).parents[1] / "recipes").rglob("*.yaml"))
STAGES = [
    pytest.param(path, index, id=f"{path.stem}-{stage.name}")
    for path in RECIPES
    if "stages" in path.read_text() or "base" in path.read_text()
    for index, stage in enumerate(load_recipe(path).stages)
]


@pytest.mark.parametrize(("path", "index"), STAGES)
def test_every_stage_stays_on_its_device(
    path: Path, index: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # knows no `meta`
    recipe = load_recipe(path)
    stage = recipe.stages[index]
    codec, batch = recipe.codec, 2
    samples = 30 * codec.hop * (1 + 8000 // (30 * codec.hop))
    network = Network(codec)
    with_weight_norm(network)
    learner = codebook_learner(network, recipe.quantization)
    adversary = None
    if stage.adversary is not None:
        a = stage.adversary
        adversary = AdversarialLoss(Discriminators(a.kinds, a.width)).to("meta")
    for started in (False, True) if "quantizer" in stage.trainable else (True,):
        module = TrainingStep(network, learner, recipe, stage, started).to("meta").train()
        with FakeTensorMode(allow_non_fake_inputs=True):
            audio = torch.zeros(batch, codec.channels, samples, device="meta")
            given = Batch(audio, audio, torch.full((batch,), 24000.0, device="meta"))
            output, losses, _ = module(given, 0)
            if adversary is not None:
                losses |= adversary.generator(output, given.target)
                assert adversary(output, given.target).device.type == "meta"
            total = sum(stage.losses.get(name, 0.0) * value for name, value in losses.items())
            assert isinstance(total, torch.Tensor)
            assert total.device.type == output.device.type == "meta"
            trained = [p for p in network.parameters() if p.requires_grad]
            gradients = torch.autograd.grad(total, trained, allow_unused=True)
            assert {g.device.type for g in gradients if g is not None} == {"meta"}


def test_k_means_stays_on_its_device() -> None:
    with FakeTensorMode():
        codebook, x = torch.zeros(16, 4, device="meta"), torch.zeros(100, 4, device="meta")
        assert kmeans(x, codebook, torch.Generator().manual_seed(0), 2).device.type == "meta"


def test_mixed_devices_would_be_seen() -> None:
    """The check can fail."""
    with FakeTensorMode(), pytest.raises(RuntimeError, match="device"):
        torch.zeros(3, device="meta") + torch.zeros(3)


def test_a_device_that_is_not_there_is_refused() -> None:
    if torch.cuda.is_available():
        assert Hardware("cuda").device().type == "cuda"
    else:
        with pytest.raises(ConfigError, match="no cuda device here: choose --accelerator"):
            Hardware("cuda").device()
    assert Hardware("cpu").device().type == "cpu"


def test_a_precision_that_was_asked_for_is_kept() -> None:
    cpu = torch.device("cpu")
    assert resolve_precision("bf16-mixed", cpu) == "bf16-mixed"
    assert resolve_precision("32-true", torch.device("cuda")) == "32-true"
    assert resolve_precision("auto", torch.device("mps")) == "32-true"


def test_throughput_of_every_stage_is_told(tmp_path: Path) -> None:
    recipe = tmp_path / "small.yaml"
    recipe.write_text(
        "data: {sources: [{path: nowhere}], batch: 2}\n"
        "stages:\n"
        "  - {name: metric, steps: 10}\n"
        "  - {name: adversarial, steps: 10, trainable: [decoder],\n"
        "     losses: {mel: 1, adversarial: 1}, adversary: {kinds: [multi_frame], width: 0.1}}\n"
        "codec: {encoder: {width: 24}, decoder: {width: 24}}\n"
    )
    command = ["bench", "train", str(recipe), "--steps", "2", "--accelerator", "cpu", "--json"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert [row["stage"] for row in rows] == ["metric", "adversarial"]
    assert all(row["device"] == "cpu" and row["audio_seconds_per_second"] > 0 for row in rows)
