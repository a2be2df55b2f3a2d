"""Huge pages are asked for what the process gains inside, and for nothing else."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest

from audiodec.runtime import huge_pages as module
from audiodec.runtime.huge_pages import huge_pages

SIZE = 8 << 20
SMAPS = Path("/proc/self/smaps")


def _memory() -> mmap.mmap:
    """Private memory, all of it touched."""
    memory = mmap.mmap(-1, SIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.write(b"x" * SIZE)
    return memory


pytestmark = pytest.mark.skipif(not SMAPS.exists(), reason="no /proc here")


def _advised() -> int:
    """Kilobytes of memory whose flags say that huge pages are wanted."""
    total = size = 0
    for line in SMAPS.read_text().splitlines():
        if line.startswith("Size:"):
            size = int(line.split()[1])
        elif line.startswith("VmFlags:") and "hg" in line.split():
            total += size
    return total


@pytest.mark.skipif(
    not module.ENABLED.exists() or "[never]" in module.ENABLED.read_text(),
    reason="no transparent huge pages here",
)
def test_only_new_memory_is_advised() -> None:
    earlier, before = _memory(), _advised()
    with huge_pages():
        inside = _memory()
    assert SIZE // 1024 - 4096 <= _advised() - before < 2 * SIZE // 1024
    assert inside[0] == inside[SIZE - 1] == earlier[0] == ord("x")


def test_without_them_nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    off = tmp_path / "enabled"
    off.write_text("always madvise [never]\n")
    for name, place in (
        ("ENABLED", off),
        ("ENABLED", tmp_path / "missing"),
        ("MAPS", tmp_path / "missing"),
    ):
        monkeypatch.setattr(module, name, place)
        before = _advised()
        with huge_pages():
            memory = _memory()
        assert memory[0] == ord("x")
        assert _advised() == before
