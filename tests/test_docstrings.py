"""Whoever hovers over a name reads a sentence: ruff's D401 asks for a verb, this for the rest.

What the reference shows says of every argument what it is.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import audiodec

ROOT = Path(audiodec.__file__).parent
FEWEST_WORDS = 4
Named = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def public(node: ast.AST, within: str = "") -> Iterator[tuple[str, Named]]:
    """Public classes and functions, the methods of classes among them, by name."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Named) and not child.name.startswith("_"):
            yield within + child.name, child
            if isinstance(child, ast.ClassDef):
                yield from public(child, f"{child.name}.")


def is_explained_elsewhere(node: Named) -> bool:
    """Overloads and setters, whose docstring stands at the function they belong to."""
    named = {
        part.attr if isinstance(part, ast.Attribute) else getattr(part, "id", "")
        for part in node.decorator_list
    }
    return bool(named & {"overload", "setter"})


TREES = {path: ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}
# A method may leave its docstring to that of the base class or protocol that it implements.
EXPLAINED = {
    name.partition(".")[2]
    for tree in TREES.values()
    for name, node in public(tree)
    if "." in name and ast.get_docstring(node)
}


def problems(tree: ast.AST) -> Iterator[str]:
    for name, node in public(tree):
        text = ast.get_docstring(node)
        if text is None:
            if name.partition(".")[2] not in EXPLAINED and not is_explained_elsewhere(node):
                yield f"{name} has no docstring"
            continue
        first = text.split("\n\n")[0]
        if len(first.split()) < FEWEST_WORDS or not first.endswith((".", ":", "?")):
            yield f"{name}: {first!r} is no sentence"


@pytest.mark.parametrize("path", TREES, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_names_are_explained(path: Path) -> None:
    assert list(problems(TREES[path])) == []


def test_what_is_asked_of_a_docstring() -> None:
    tree = ast.parse('def a(): "By name."\ndef b(): pass\ndef c(): "Give every count by its name."')
    assert list(problems(tree)) == ["a: 'By name.' is no sentence", "b has no docstring"]


REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
SHOWN = [
    name
    for page in sorted(REFERENCE.glob("*.md"))
    for name in re.findall(r"^::: (\S+)", page.read_text(), re.MULTILINE)
]


def found(name: str) -> Any:
    """What a dotted name means: a module, or something in one."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        module, _, last = name.rpartition(".")
        return getattr(found(module), last)


def callables(thing: Any, name: str) -> Iterator[tuple[str, Any]]:
    """A function or class, or those of a module, with the methods that a page shows."""
    if isinstance(thing, ModuleType):
        for own in vars(thing).values():
            if getattr(own, "__module__", None) == thing.__name__:
                yield from callables(own, f"{name}.{own.__name__}")
        return
    yield name, thing
    if isinstance(thing, type):
        for method, function in inspect.getmembers(thing, callable):
            if not method.startswith("_") and is_ours(function):
                yield f"{name}.{method}", function


def is_ours(function: Any) -> bool:
    return (getattr(function, "__module__", None) or "").startswith("audiodec")


def undescribed(thing: Any) -> list[str]:
    """Parameters that the docstring has no words for: under `Args:`, or `Attributes:` of a
    dataclass, whose fields are both."""
    if isinstance(thing, type) and (
        (issubclass(thing, Exception) and "__init__" not in vars(thing)) or is_protocol(thing)
    ):
        return []
    sections = "Args|Attributes" if dataclasses.is_dataclass(thing) else "Args"
    text = inspect.getdoc(thing) or ""
    own = re.findall(rf"^(?:{sections}):\n((?:    .*\n|\n)*)", text + "\n", re.MULTILINE)
    described = {
        name
        for names in re.findall(r"^    (\w+(?:, \w+)*): \S", "".join(own), re.MULTILINE)
        for name in names.split(", ")
    }
    return [
        name
        for name in inspect.signature(thing).parameters
        if name != "self" and name not in described
    ]


def is_protocol(thing: type) -> bool:
    return getattr(thing, "_is_protocol", False)


@pytest.mark.parametrize("name", SHOWN)
def test_what_the_reference_shows_says_what_it_takes(name: str) -> None:
    missing = {
        of: left for of, thing in callables(found(name), name) if (left := undescribed(thing))
    }
    assert not missing


def test_the_reference_shows_all_that_is_public() -> None:
    errors = {name for name in audiodec.__all__ if name.endswith("Error")}
    assert {f"audiodec.{name}" for name in {*audiodec.__all__} - errors} <= set(SHOWN)
    assert "audiodec.errors" in SHOWN


def test_what_is_asked_of_arguments() -> None:
    def told(rate: int, frames: int, *, mono: bool) -> None:
        """Do it.

        Args:
            rate, mono: Hz, and whether.

        Returns:
            frames: no argument.
        """

    assert undescribed(told) == ["frames"]
