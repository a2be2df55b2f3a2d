"""What several processes must agree on; with one process every function is the identity."""

from __future__ import annotations

import torch
from torch import Tensor, distributed


def world() -> tuple[int, int]:
    """Give (this process, number of processes)."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def gathered(x: Tensor) -> Tensor:
    """Gather the items of every process, in order, without gradient: [n, ...] -> [processes * n,
    ...]."""
    _, size = world()
    if size == 1:
        return x.detach()
    parts = [torch.empty_like(x) for _ in range(size)]
    distributed.all_gather(parts, x.detach().contiguous())
    return torch.cat(parts)


def own_share(x: Tensor) -> Tensor:
    """Take this process's items of a global batch: [processes * n, ...] -> [n, ...]."""
    rank, size = world()
    return x.chunk(size)[rank]


def global_batch(local: int) -> int:
    """Count the items over all processes."""
    return local * world()[1]


def mean_over_processes(x: Tensor) -> Tensor:
    """Compute the mean of each process's value, without gradient."""
    _, size = world()
    if size > 1:
        x = x.detach().clone()
        distributed.all_reduce(x)
        x /= size
    return x
