"""Configurations: round trip, overrides, and the error for every kind of mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from audiodec.config import CodecConfig, ModelInfo, from_data, from_json, to_data
from audiodec.errors import ConfigError
from audiodec.training.recipe_file import load_recipe

RECIPE = "data: {sources: [{path: somewhere}]}\n"


def test_round_trip_through_json(tmp_path: Path) -> None:
    info = ModelInfo(id="a-model", codec=CodecConfig(), files={"weights.safetensors": "0" * 64})
    (tmp_path / "model.json").write_text(json.dumps(to_data(info)))
    assert from_json(ModelInfo, tmp_path / "model.json") == info


def test_models_and_recipes_of_old_say_stages() -> None:
    new = from_data(CodecConfig, {"quantizer": {"codebooks": 3}}, "here")
    assert from_data(CodecConfig, {"quantizer": {"stages": 3}}, "here") == new
    assert to_data(new)["quantizer"]["codebooks"] == 3


def test_bitrates() -> None:
    config = CodecConfig()
    assert config.bitrate(8) == 12.0
    assert config.codebooks_for(4.5) == 3
    assert config.codebooks_for(None) == 8


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"hopp": 320}, "hopp: no such setting"),
        ({"hop": "wide"}, "hop: Input should be a valid integer"),
        ({"hop": 0}, "hop: Input should be greater than 0"),
        ({"encoder": {"widht": 1}}, "encoder.widht: no such setting"),
        ({"quantizer": {"codebook_size": 1000}}, "power of two"),
    ],
)
def test_mistakes_are_named(data: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        from_data(CodecConfig, data, "here")


def test_overrides(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(RECIPE)
    overrides = ["stages.0.optimizer.learning_rate=1e-3", "data.batch=3", "name=other"]
    recipe = load_recipe(path, overrides)
    assert recipe.stages[0].optimizer.learning_rate == 1e-3
    assert (recipe.data.batch, recipe.name) == (3, "other")
    assert load_recipe(path).name == "r"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("stages.0.optimizer.lerning_rate=1", "stages.0.optimizer.lerning_rate: no such setting"),
        ("stages.0.steps=many", "stages.0.steps: Input should be a valid integer"),
        ("seed", "is not key=value"),
        ("name.deep=1", "name is not a group"),
        ("stages.3.steps=1", "not an element of a list of 1"),
        ("stages.0.losses={adversarial: 1}", "needs an adversary"),
        ("data.batch=[", "is not a YAML value"),
    ],
)
def test_wrong_overrides(tmp_path: Path, override: str, words: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(RECIPE)
    with pytest.raises(ConfigError, match=words):
        load_recipe(path, [override])


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[1] / "recipes").rglob("*.yaml")))
def test_shipped_recipes_are_valid(path: Path) -> None:
    assert load_recipe(path).steps > 0


def test_stages_that_share_settings_in_the_file_change_apart() -> None:
    """YAML anchors save writing; an override of one stage must not reach the other."""
    path = Path(__file__).parents[1] / "recipes" / "published" / "symAD_vctk_48000_hop300.yaml"
    recipe = load_recipe(path, ["stages.0.optimizer.learning_rate=0.5"])
    assert [stage.optimizer.learning_rate for stage in recipe.stages] == [0.5, 1e-4]


def test_a_base_gives_what_a_recipe_leaves_open(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(RECIPE + "seed: 3\nvalidation: {seconds: 2, pictures: 1}\n")
    (tmp_path / "b.yaml").write_text("base: a.yaml\nvalidation: {seconds: 4}\n")
    recipe = load_recipe(tmp_path / "b.yaml")
    assert (recipe.name, recipe.seed) == ("b", 3)
    assert (recipe.validation.seconds, recipe.validation.pictures) == (4, 1)
    (tmp_path / "a.yaml").write_text("base: b.yaml\n")
    with pytest.raises(ConfigError, match="circle"):
        load_recipe(tmp_path / "a.yaml")
