"""Whoever hovers over a name reads a sentence: ruff's D401 asks for a verb, this for the rest."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

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
