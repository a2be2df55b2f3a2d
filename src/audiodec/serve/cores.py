"""How many cores this process may use."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: microseconds of CPU time, and in how many


def cores() -> int:
    """Count the cores that the system, and a container's quota, leave to this process; 1 or more.

    See the kernel's "Control Group v2", cpu.max.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    with suppress(OSError, ValueError):  # no such file, or no limit: "max 100000"
        quota, period = map(int, QUOTA.read_text().split())
        count = min(count, -(-quota // period))
    return max(1, count)
