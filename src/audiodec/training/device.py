"""Where a run computes, and with what precision."""

from __future__ import annotations

from typing import Literal

import torch

Precision = Literal["auto", "bf16-mixed", "32-true"]


def resolve_precision(precision: Precision, device: torch.device) -> str:
    """The precision that `auto` stands for on a device: bfloat16 where matrix products gain by it.

    A CPU without instructions for it is about thirty times slower in bfloat16 than in float32.
    """
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    fast = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return "bf16-mixed" if device.type == "cpu" and fast else "32-true"
