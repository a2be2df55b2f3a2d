"""Recipes as YAML files: read over their base, changed by key=value, written whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from audiodec.audio_files.writing import write_whole
from audiodec.config import from_data, to_data
from audiodec.errors import ConfigError
from audiodec.training.recipe import Recipe


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply `key=value` overrides; dots go into groups and lists.

    A recipe may name another as its `base` (a path beside it): its own settings then add to that
    one's, groups key by key, everything else as a whole.

    Args:
        path: A YAML file.
        overrides: Settings to change, e.g. `data.batch=8`, `stages.0.steps=500`,
            `codec.decoder={kind: seanet}`: values are YAML.

    Raises:
        ConfigError: Unreadable file, unknown key, or a value that does not fit.
    """
    data = {"name": path.stem} | _read(path, depth=0)
    for override in overrides:
        _apply(data, override)
    return from_data(Recipe, data, str(path))


def save_recipe(recipe: Recipe, path: Path) -> None:
    """Write every setting, defaults included."""
    with write_whole(str(path)) as file:
        file.write(yaml.safe_dump(to_data(recipe), sort_keys=False).encode())


def _read(path: Path, depth: int) -> dict[str, Any]:
    """Lay a recipe's settings over those of its base."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"recipe {path} cannot be read: {reason}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"recipe {path} is not a table of settings")
    data = dict(_unshared(data))
    base = data.pop("base", None)
    if base is None:
        return data
    if depth > 5:
        raise ConfigError(f"recipe {path}: its bases go round in a circle")
    return _merged(_read(path.parent / str(base), depth + 1), data)


def _unshared(value: Any) -> Any:
    """Copy a tree so that YAML's anchors and aliases are apart, and one can change alone."""
    if isinstance(value, dict):
        return {key: _unshared(v) for key, v in value.items()}
    return [_unshared(v) for v in value] if isinstance(value, list) else value


def _merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in own.items():
        old = merged.get(key)
        merged[key] = value
        if isinstance(value, dict) and isinstance(old, dict) and _same_kind(old, value):
            merged[key] = _merged(old, value)
    return merged


def _same_kind(old: dict[str, Any], own: dict[str, Any]) -> bool:
    """Drop settings of the base's part where the recipe's is of another kind: they share none."""
    return bool(own.get("kind", old.get("kind")) == old.get("kind"))


def _apply(data: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"{override!r} is not key=value, e.g. data.batch=8")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"{key}: {text!r} is not a YAML value") from None
    place: Any = data
    *groups, last = key.split(".")
    if groups[:1] == ["stages"]:
        place.setdefault("stages", [{}])
    for group in groups:
        place = _enter(place, group, key)
    if isinstance(place, list):
        place[_index(place, last, key)] = value
    else:
        place[last] = value


def _enter(place: Any, group: str, key: str) -> Any:
    """Find the group or list element called `group`, made when a table lacks it."""
    inner = (
        place[_index(place, group, key)]
        if isinstance(place, list)
        else (place.setdefault(group, {}))
    )
    if not isinstance(inner, dict | list):
        raise ConfigError(f"{key}: {group} is not a group of settings")
    return inner


def _index(place: list[Any], text: str, key: str) -> int:
    if not text.isdigit() or int(text) >= len(place):
        raise ConfigError(f"{key}: {text} is not an element of a list of {len(place)}")
    return int(text)
