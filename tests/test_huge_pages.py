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


def _advised() -> int:
    """Kilobytes of memory whose flags say that huge pages are wanted."""
    total = size = 0
    for line in SMAPS.read_text().splitlines():
        if line.startswith("Size:"):
            size = int(line.split()[1])
        elif line.startswith("VmFlags:") and "hg" in line.split():
            total += size
    return total


@pytest.mark.optional  # a kernel may have none
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


@pytest.mark.parametrize(
    ("enabled", "maps"),
    [("never", True), ("madvise", False), (None, True)],
    ids=["switched off", "no /proc", "no /sys"],
)
def test_without_them_nothing_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, enabled: str | None, maps: bool
) -> None:
    monkeypatch.setattr(module, "ENABLED", tmp_path / "enabled")
    monkeypatch.setattr(module, "MAPS", tmp_path / "maps")
    if enabled:
        choices = [f"[{c}]" if c == enabled else c for c in ("always", "madvise", "never")]
        (tmp_path / "enabled").write_text(" ".join(choices))
    if maps:
        (tmp_path / "maps").write_text("")
    asked = []
    monkeypatch.setattr(module, "_advise", lambda ranges: asked.extend(ranges))
    with huge_pages():
        (tmp_path / "maps").write_text("200000-600000 rw-p 00000000 00:00 0 \n")
    assert not asked


@pytest.mark.parametrize(
    ("after", "gained"),
    [
        ([(0, 100)], [(0, 10), (20, 30), (50, 100)]),
        ([(0, 5)], [(0, 5)]),
        ([(12, 18)], []),
        ([(15, 25), (40, 45)], [(20, 25)]),
        ([(30, 60), (60, 70)], [(50, 60), (60, 70)]),
    ],
)
def test_memory_from_before_is_not_gained(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    after: list[tuple[int, int]],
    gained: list[tuple[int, int]],
) -> None:
    def write(ranges: list[tuple[int, int]]) -> None:
        lines = [f"{start:x}-{end:x} rw-p 00000000 00:00 0 [heap]\n" for start, end in ranges]
        maps.write_text("".join(lines) + "0-ff r-xp 00000000 00:00 7 /bin/true\n")

    maps, enabled = tmp_path / "maps", tmp_path / "enabled"
    enabled.write_text("[always] madvise never")
    monkeypatch.setattr(module, "MAPS", maps)
    monkeypatch.setattr(module, "ENABLED", enabled)
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(module, "_advise", asked.extend)
    write([(10, 20), (30, 50)])
    with huge_pages():
        write(after)
    assert asked == gained
