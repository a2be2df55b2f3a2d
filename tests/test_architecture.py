"""Who may import whom. The runtime path stays free of torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import audiodec

ROOT = Path(audiodec.__file__).parent
NO_TORCH = {"torch", "lightning_fabric", "onnx", "tensorboard"}
# Part: the parts it may import. `arrays`, `errors` and the part itself are open to all.
ALLOWED = {
    "arrays": set(),
    "errors": set(),
    "ending": set(),
    "config": {"bitstream"},
    "dsp": set(),
    "nn.macs": set(),
    "nn": {"config"},
    "bitstream": set(),
    "pretrained": {"config"},
    "runtime": {"config", "pretrained"},
    "runtime.torch": {"config", "nn", "pretrained", "runtime"},
    "checks": {"config", "resampling", "runtime"},
    "resampling": {"runtime"},
    "playback": {"config", "runtime"},
    "session": {"bitstream", "checks", "playback", "resampling", "runtime"},
    "codec": {"checks", "resampling", "runtime", "session"},
    "loading": {"checks", "codec", "pretrained", "runtime", "runtime.torch"},
    "audio_files": {"resampling"},
    "adc": {"audio_files", "bitstream", "checks", "codec", "loading", "playback", "runtime"},
    "sound": {"audio_files", "codec", "runtime"},
    "rtp": {"bitstream", "runtime"},
    "call": {"audio_files", "codec", "rtp", "runtime", "sound"},
    "serve": {"bitstream", "call", "codec", "config", "playback", "rtp", "runtime"},
    "evaluation": {
        "",
        "adc",
        "audio_files",
        "bitstream",
        "call",
        "checks",
        "codec",
        "config",
        "dsp",
        "prepare",
        "pretrained",
        "rtp",
        "runtime",
        "serve",
        "sound",
    },
    "evaluation.codecs.neural": {"bitstream", "nn.macs", "runtime"},
    "prepare": {"audio_files"},
    "tokenization": {
        "",
        "adc",
        "audio_files",
        "bitstream",
        "checks",
        "codec",
        "config",
        "prepare",
        "pretrained",
        "runtime",
    },
    "published": {"config", "nn"},
    "export": {"config", "nn", "nn.macs", "pretrained", "runtime", "runtime.torch"},
    "training": {
        "audio_files",
        "config",
        "dsp",
        "ending",
        "evaluation",
        "nn",
        "prepare",
        "pretrained",
        "published",
        "runtime.torch",
    },
    "cli": {"*"},
    "__main__": {"cli"},
    "": {"adc", "codec", "loading", "session"},  # the package itself
}
TORCH_FREE = {
    "",
    "adc",
    "audio_files",
    "bitstream",
    "call",
    "checks",
    "codec",
    "config",
    "dsp",
    "ending",
    "evaluation",
    "loading",
    "playback",
    "prepare",
    "pretrained",
    "resampling",
    "rtp",
    "runtime",
    "serve",
    "session",
    "sound",
    "tokenization",
}
FILES = sorted(p for p in ROOT.rglob("*.py"))


def part_of(module: str) -> str:
    words = module.removeprefix("audiodec").removeprefix(".").split(".")
    longest_first = (".".join(words[:count]) for count in range(len(words), 0, -1))
    return next((part for part in longest_first if part in ALLOWED), words[0])


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports(path: Path) -> None:
    module = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
    part = part_of(module.removesuffix(".__init__"))
    allowed = ALLOWED[part] | {part, part.split(".")[0], "arrays", "errors"}
    for name in imports(path):
        if name.split(".")[0] == "audiodec" and "*" not in allowed:
            assert part_of(name) in allowed, f"{part} may not import {name}"
        if part in TORCH_FREE:
            assert name.split(".")[0] not in NO_TORCH, f"{part} may not import {name}"


READERS = {"SoundFile", "blocks", "info", "read"}  # of soundfile; a header's length may lie


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_sound_is_read_through_one_door(path: Path) -> None:
    if path.is_relative_to(ROOT / "audio_files"):
        return
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
