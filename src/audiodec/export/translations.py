"""How some torch operations become ONNX ones, so that a runtime has little to do.

The exporter's own translations are general, and a runtime pays for each of their many nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from onnxscript import opset23 as op


def _index(x: Any, indices: Any) -> Any:
    """x[..., index]."""
    *whole, index = indices
    assert not any(whole)
    return op.Gather(x, index, axis=len(whole))


def _elu(x: Any, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Any:
    """max(x, e^min(x, 0) - 1): onnxruntime's Exp is vectorised, its Elu takes twice as long."""
    assert alpha == scale == input_scale == 1
    return op.Max(x, op.Sub(op.Exp(op.Clip(x, None, 0.0)), 1.0))


def _clamp(x: Any, low: float | None = None, high: float | None = None) -> Any:
    return op.Clip(x, low, high)


def _conv1d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    groups: int = 1,
) -> Any:
    """Translate a convolution to two dimensions, one of size 1: onnxruntime has blocked kernels for
    those only, about a third faster on short windows."""
    assert not any(padding)
    y = op.Conv(
        op.Unsqueeze(x, [2]), op.Unsqueeze(weight, [2]), bias,
        strides=[1, *stride], dilations=[1, *dilation], group=groups,
    )  # fmt: skip
    return op.Squeeze(y, [2])


def _linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """Translate a pointwise convolution to an image of batch x frames: for a few frames
    onnxruntime's blocked convolutions read the weights a third faster than matrix products do."""
    image = op.Transpose(op.Unsqueeze(x, [0]), perm=[0, 3, 1, 2])
    y = op.Conv(image, op.Unsqueeze(weight, [2, 3]), bias)
    return op.Squeeze(op.Transpose(y, perm=[0, 2, 3, 1]), [0])


Translations = dict[Callable[..., Any], Callable[..., Any]]
GENERAL: Translations = {
    torch.ops.aten.index.Tensor: _index,
    torch.ops.aten.elu.default: _elu,
    torch.ops.aten.clamp.default: _clamp,
}
NATIVE: Translations = {  # for onnxruntime's blocked kernels, which WebAssembly has not
    **GENERAL,
    torch.ops.aten.conv1d.default: _conv1d,
    torch.ops.aten.linear.default: _linear,
}
