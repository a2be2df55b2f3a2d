"""Memory of a network's weights in huge pages.

A window of a few milliseconds reads every weight once. With pages of 4 KiB the processor then
looks up thousands of addresses that it has forgotten since the last window; with huge pages a
few dozen. Measured: docs/published.md.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MAPS, ENABLED = Path("/proc/self/maps"), Path("/sys/kernel/mm/transparent_hugepage/enabled")
SIZE = 2 << 20  # bytes of a huge page on x86, and on ARM with pages of 4 KiB
MADV_HUGEPAGE, MADV_COLLAPSE = 14, 25  # linux/mman.h; the second one since Linux 6.1

Range = tuple[int, int]  # first address, and the one behind


@contextmanager
def huge_pages() -> Iterator[None]:
    """Ask for huge pages for the memory that the process gains inside.

    A wish: where the system has none to give (not Linux, switched off, shut away), nothing
    happens. Nor does anything if the block raises. What other threads gain meanwhile counts too.
    """
    before = None
    with suppress(OSError):
        if "[never]" not in ENABLED.read_text(encoding="ascii"):
            before = _writable_memory()
    yield
    if before is not None:
        with suppress(OSError, AttributeError):
            _advise(_gained(before, _writable_memory()))


def _advise(ranges: Iterable[Range]) -> None:
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for start, end in ranges:
        first, last = -(-start // SIZE) * SIZE, end // SIZE * SIZE
        if first < last:
            madvise(first, last - first, MADV_HUGEPAGE)  # at leisure: older kernels know no other
            madvise(first, last - first, MADV_COLLAPSE)  # now


def _writable_memory() -> list[Range]:
    """The process's memory that no file stands behind, in order."""
    found = []
    for line in MAPS.read_text(encoding="utf-8", errors="replace").splitlines():
        addresses, permissions, _, _, _, *name = line.split(maxsplit=5)
        if permissions == "rw-p" and name in ([], ["[heap]"]):
            start, end = addresses.split("-")
            found.append((int(start, 16), int(end, 16)))
    return found


def _gained(before: list[Range], after: list[Range]) -> Iterator[Range]:
    """What of `after` is not in `before`; both in order."""
    for start, end in after:
        for old_start, old_end in before:
            if old_start < end and old_end > start:
                if start < old_start:
                    yield start, old_start
                start = old_end
        if start < end:
            yield start, end
