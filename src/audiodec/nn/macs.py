"""What any torch computation takes: multiplications with addition (MACs)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch.utils.flop_counter import FlopCounterMode

Result = TypeVar("Result")
Shape = Sequence[int]
aten = torch.ops.aten


def count_macs(run: Callable[[], Result]) -> tuple[Result, float]:
    """Give what `run` returns, and its MACs: matrix products and convolutions as torch counts them.

    What is done element by element is left out.
    """
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=UNSEEN) as counter:
        result = run()
    return result, counter.get_total_flops() / 2  # a MAC is two floating-point operations


def _lstm(x: Shape, w: Shape, u: Shape, *_: Any, **__: Any) -> int:
    """Run a layer over x [time, batch, channels]."""
    return 2 * x[0] * x[1] * (math.prod(w) + math.prod(u))


def _distances(a: Shape, b: Shape, *_: Any, **__: Any) -> int:
    """From each of a [..., n, dim] to each of b [..., m, dim]: a product for each number."""
    return 2 * math.prod(a) * b[-2]


def _attention(q: Shape, k: Shape, v: Shape, *_: Any, **__: Any) -> int:
    """Of queries [..., n, dim] to keys [..., m, dim], then over values [..., m, out]."""
    return 2 * math.prod(q[:-1]) * k[-2] * (q[-1] + v[-1])


# Kernels of the CPU that torch leaves out, though what they compute are products of matrices.
UNSEEN = {
    aten.mkldnn_rnn_layer: _lstm,
    aten._euclidean_dist: _distances,
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
}
