"""Every published recipe trains through each of its stages and exports, at small widths."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile

import audiodec
from audiodec.export.onnx import export_model
from audiodec.prepare.corpora import folder
from audiodec.prepare.manifest import Recording, make_manifest
from audiodec.training import checkpoint
from audiodec.training.recipe_file import load_recipe
from audiodec.training.trainer import Trainer
from tests.conftest import SPEECH
from tests.test_published_training import losses

RECIPES = Path(__file__).parents[1] / "recipes" / "published"
AUTOENCODERS = {  # `init` of a recipe: the recipe that makes it
    "models/symAD": "symAD_vctk_48000_hop300",
    "models/symADuniv": "symADuniv_vctk_48000_hop300",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifests of one clip: mono, stereo, with noise; trained autoencoders come to lie beside."""
    base = tmp_path_factory.mktemp("recipes")
    speech, rate = soundfile.read(SPEECH)
    noisy = speech + np.random.default_rng(0).normal(0, 0.01, len(speech))
    for name, signal in (
        ("mono", speech), ("stereo", np.stack([speech, speech[::-1]], 1)), ("noisy", noisy)
    ):  # fmt: skip
        (base / name).mkdir()
        soundfile.write(base / name / "clip.wav", signal, rate)
    for name in ("mono", "stereo"):
        make_manifest(folder(base / name).recordings, base / f"{name}.csv")
    pair = Recording(base / "mono" / "clip.wav", "one", "train", base / "noisy" / "clip.wav")
    make_manifest([pair], base / "pairs.csv")
    return base


def small(name: str, place: Path) -> list[str]:
    """Overrides that make a recipe small enough to run here."""
    recipe = load_recipe(RECIPES / f"{name}.yaml")
    data = "stereo" if recipe.codec.channels == 2 else "pairs" if "denoise" in name else "mono"
    changes = [
        f"data.sources=[{{path: {place / data}.csv}}]", "data.batch=2", "data.crop=0.1",
        "codec.encoder.channels=4", "quantization.start_latents=1100",
        f"codec.decoder.channels={32 if recipe.codec.decoder.kind == 'hifigan' else 4}",
    ]  # fmt: skip
    for i, stage in enumerate(recipe.stages):
        changes += [f"stages.{i}.steps=4", f"stages.{i}.crop=0.1"]
        if stage.adversary is not None:
            changes.append(f"stages.{i}.adversary.width=0.0625")
    if recipe.init is not None:
        changes.append(f"init={trained(recipe.init, place)}")
    return changes


def trained(init: str, place: Path) -> Path:
    """The autoencoder that a recipe starts from, trained and exported once."""
    out = place / init
    if not out.exists():
        name = AUTOENCODERS[init]
        recipe = load_recipe(RECIPES / f"{name}.yaml", small(name, place))
        Trainer.start(recipe, place / "bases" / name).fit(until=recipe.stages[0].steps)
        export_model(
            checkpoint.trained_network(place / "bases" / name), "base", out, for_browsers=False
        )
    return out


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(p.stem for p in RECIPES.glob("*.yaml")))
def test_recipe(name: str, place: Path) -> None:
    recipe = load_recipe(RECIPES / f"{name}.yaml", small(name, place))
    run = place / "runs" / name
    Trainer.start(recipe, run).fit()
    state = checkpoint.load(run)
    assert state["step"] == recipe.steps
    assert state["phase"]["stage"] == recipe.stages[-1].name
    assert all(math.isfinite(v) for values in losses(run).values() for v in values)
    export_model(
        checkpoint.trained_network(run), "small", place / "exported" / name, for_browsers=False
    )
    codec = audiodec.load(place / "exported" / name)
    audio = np.zeros((codec.channels, 3000), np.float32)[0 if codec.channels == 1 else slice(None)]
    assert codec.decode(codec.encode(audio), 3000).shape == audio.shape
