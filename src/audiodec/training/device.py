"""What a run computes on, and with what precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from audiodec.errors import ConfigError

Accelerator = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "bf16-mixed", "32-true"]


@dataclass(frozen=True)
class Hardware:
    """The machines of a run. It changes nothing of what is learnt but rounding.

    Attributes:
        accelerator: the kind of device; `auto` takes CUDA, else Apple's MPS, else the CPU.
        precision: in place of the recipe's; None leaves it to the recipe.
        devices: devices of each machine; on a CPU, processes.
        nodes: machines.
    """

    accelerator: Accelerator = "auto"
    precision: Precision | None = None
    devices: int = 1
    nodes: int = 1

    def device(self) -> torch.device:
        """Name the kind of device.

        Raises:
            ConfigError: this machine, or this build of torch, has none of that kind.
        """
        found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        if self.accelerator == "auto":
            return torch.device(next((kind for kind, there in found.items() if there), "cpu"))
        if not found.get(self.accelerator, True):
            raise ConfigError(
                f"torch {torch.__version__} finds no {self.accelerator} device here: "
                "choose --accelerator auto or cpu"
            )
        return torch.device(self.accelerator)


def fast_in_bfloat16(device: torch.device) -> bool:
    """Tell whether matrix products gain by bfloat16.

    A CPU without instructions for it is about thirty times slower in bfloat16 than in float32.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    amx, avx = torch.cpu._is_amx_tile_supported(), torch.cpu._is_avx512_bf16_supported()
    return device.type == "cpu" and bool(amx or avx)


def resolve_precision(precision: Precision, device: torch.device) -> str:
    """Choose the precision that `auto` stands for on a device."""
    if precision != "auto":
        return precision
    return "bf16-mixed" if fast_in_bfloat16(device) else "32-true"
