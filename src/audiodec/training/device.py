"""Where a run computes, and with what precision."""

from __future__ import annotations

from typing import Literal

import torch

Precision = Literal["auto", "bf16-mixed", "32-true"]


def fast_in_bfloat16(device: torch.device) -> bool:
    """Whether matrix products gain by bfloat16.

    A CPU without instructions for it is about thirty times slower in bfloat16 than in float32.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    amx, avx = torch.cpu._is_amx_tile_supported(), torch.cpu._is_avx512_bf16_supported()
    return device.type == "cpu" and bool(amx or avx)


def resolve_precision(precision: Precision, device: torch.device) -> str:
    """The precision that `auto` stands for on a device."""
    if precision != "auto":
        return precision
    return "bf16-mixed" if fast_in_bfloat16(device) else "32-true"
