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
    assert scale == input_scale == 1
    return op.Elu(x, alpha=float(alpha))


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
    """A convolution of two dimensions, one of size 1: onnxruntime has blocked kernels for those
    only, about a third faster on short windows."""
    assert not any(padding)
    y = op.Conv(
        op.Unsqueeze(x, [2]), op.Unsqueeze(weight, [2]), bias,
        strides=[1, *stride], dilations=[1, *dilation], group=groups,
    )  # fmt: skip
    return op.Squeeze(y, [2])


def _convolution(
    x: Any,
    weight: Any,
    bias: Any,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Any:
    """A transposed convolution, [batch, in, n] -> [batch, out, (n - 1) * stride + kernel], as a
    pointwise one to all samples that an input reaches, and the overlapping pieces added."""
    inputs, outputs, kernel = weight.shape
    assert transposed
    assert bias is None
    assert groups == 1
    (step,) = stride
    pieces, rest = divmod(kernel, step)  # of `step` samples
    assert rest == 0
    parts = op.Transpose(op.Reshape(weight, [inputs, outputs, pieces, step]), perm=[2, 1, 3, 0])
    matrix = op.Reshape(parts, [-1, inputs, 1, 1])
    reached = op.Reshape(
        op.Conv(op.Unsqueeze(x, [2]), matrix), [0, pieces, outputs, step, -1]
    )  # [batch, pieces, out, step, n]
    frames = op.Transpose(reached, perm=[0, 1, 2, 4, 3])
    total = None
    for piece in range(pieces):
        own = op.Slice(frames, [piece], [piece + 1], [1])
        shifted = op.Pad(own, [0, 0, 0, piece, 0, 0, 0, 0, pieces - 1 - piece, 0])
        total = shifted if total is None else op.Add(total, shifted)
    return op.Reshape(total, [0, outputs, -1])


def _linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """A pointwise convolution over an image of batch x frames: for a few frames onnxruntime's
    blocked convolutions read the weights a third faster than matrix products do."""
    image = op.Transpose(op.Unsqueeze(x, [0]), perm=[0, 3, 1, 2])
    y = op.Conv(image, op.Unsqueeze(weight, [2, 3]), bias)
    return op.Squeeze(op.Transpose(y, perm=[0, 2, 3, 1]), [0])


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.aten.index.Tensor: _index,
    torch.ops.aten.elu.default: _elu,
    torch.ops.aten.clamp.default: _clamp,
    torch.ops.aten.conv1d.default: _conv1d,
    torch.ops.aten.convolution.default: _convolution,
    torch.ops.aten.linear.default: _linear,
}
