"""Who may import whom, as `rooms.py` says it. The runtime path stays free of torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import audiodec
from tests.rooms import ANY, OPEN, ROOMS, picture, reachable

ROOT = Path(audiodec.__file__).parent
TORCH = {"torch", "lightning_fabric", "onnx", "tensorboard"}
FILES = sorted(p for p in ROOT.rglob("*.py"))


def room_of(module: str) -> str:
    words = module.removeprefix("audiodec").removeprefix(".").split(".")
    longest_first = (".".join(words[:count]) for count in range(len(words), 0, -1))
    return next((name for name in longest_first if name in ROOMS), words[0])


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found.add(node.module or "")
    return found


def room_at(path: Path) -> str:
    module = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
    return room_of(module.removesuffix(".__init__"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports(path: Path) -> None:
    name = room_at(path)
    allowed = ROOMS[name].imports | OPEN | {name, name.split(".")[0]}
    for module in imports(path):
        if module.split(".")[0] == "audiodec" and ROOMS[name].imports != ANY:
            assert room_of(module) in allowed, f"{name} may not import {module}"
        if not ROOMS[name].torch:
            assert module.split(".")[0] not in TORCH, f"{name} may not import {module}"


def test_no_room_leads_back_to_itself() -> None:
    for name in ROOMS:
        assert name not in reachable(name), name


def test_every_rule_is_needed() -> None:
    used = {(room_at(path), room_of(m)) for path in FILES for m in imports(path)}
    rules = {(name, other) for name, own in ROOMS.items() for other in own.imports - ANY}
    assert not rules - used


def test_contributing_shows_the_house_as_it_is() -> None:
    text = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()
    assert picture() in text, "python -m tests.rooms prints what CONTRIBUTING.md should show"


READERS = {"SoundFile", "blocks", "info", "read"}  # of soundfile; a header's length may lie


RECIPES = sorted((Path(__file__).parents[1] / "recipes").rglob("*.py"))


@pytest.mark.parametrize(
    "path",
    [path for path in [*FILES, *RECIPES] if not path.is_relative_to(ROOT / "audio_files")],
    ids=lambda path: "/".join(path.parts[-2:]),
)
def test_sound_is_read_through_one_door(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "soundfile":
            assert not READERS & {alias.name for alias in node.names}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            of = node.func.value
            if isinstance(of, ast.Name) and of.id == "soundfile":
                assert node.func.attr not in READERS, "use audio_files.reading"


def test_loading_and_coding_imports_no_torch(small_folder: Path) -> None:
    code = (
        "import sys, numpy, audiodec, audiodec.adc, audiodec.cli.main\n"
        f"codec = audiodec.load({str(small_folder)!r})\n"
        "codec.decode(codec.encode(numpy.zeros(1000, 'float32')))\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
