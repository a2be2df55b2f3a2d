"""Keep an exported graph in the four dimensions of its convolutions.

Every translated convolution adds a dimension of size 1 and takes it off again. onnxruntime keeps
its blocked layout from one convolution to the next, and fuses the activation between them, only
where nothing else lies between: so dimensions are taken off as late as possible, and not at all
where the next operation would add them again.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

ELEMENTWISE = ("Add", "Clip", "Exp", "LeakyRelu", "Max", "Mul", "Sigmoid", "Sub", "Tanh")


def squeeze_late(graph: ir.Graph) -> None:
    """Move every Squeeze behind the elementwise operations and norms that follow it, and undo
    those that an Unsqueeze undoes. Leaves unused nodes behind."""
    for node in list(graph):
        if node.op_type == "Unsqueeze":
            squeeze = squeeze_of(node.inputs[0])
            if squeeze is not None and _same(squeeze.inputs[1], node.inputs[1]):
                _replace(node, squeeze.inputs[0])
        elif node.op_type in ELEMENTWISE or _is_norm(node):
            _move_behind(graph, node)
    for node in graph:
        if node.op_type == "Squeeze" and len(node.inputs) == 2:
            _describe(node)


def _describe(squeeze: ir.Node) -> None:
    """Note the shape of a value before its squeeze. onnxruntime cannot tell by itself that two
    convolutions are equally long, and only then adds one to the other on the way out."""
    (wide, axes), narrow = squeeze.inputs, squeeze.outputs[0]
    added = ir.convenience.get_const_tensor(axes) if axes is not None else None
    if wide is None or wide.shape is not None or narrow.shape is None or added is None:
        return
    sizes = list(narrow.shape)
    for axis in sorted(added.numpy() % (len(sizes) + added.size)):
        sizes.insert(axis, 1)
    wide.shape, wide.type = ir.Shape(sizes), narrow.type


def _move_behind(graph: ir.Graph, node: ir.Node) -> None:
    """op(Squeeze(x), y) -> Squeeze(op(x, Unsqueeze(y)))."""
    squeezes = [squeeze_of(value) for value in node.inputs]
    squeeze = next((s for s in squeezes if s is not None), None)
    if squeeze is None or node.outputs[0].is_graph_output():
        return
    axes, narrow = squeeze.inputs[1], squeeze.outputs[0]
    assert narrow.shape is not None
    inputs: list[ir.Value | None] = []
    added = []
    for value, own in zip(node.inputs, squeezes, strict=True):
        if own is not None and _same(own.inputs[1], axes):
            inputs.append(own.inputs[0])
        elif value is None or _broadcasts(value, node):
            inputs.append(value)
        elif value.shape is not None and len(value.shape) == len(narrow.shape):
            added.append(ir.node("Unsqueeze", [value, axes]))
            inputs.append(added[-1].outputs[0])
        else:
            return
    moved = ir.Node(node.domain, node.op_type, inputs, node.attributes.values())
    late = ir.node("Squeeze", [moved.outputs[0], axes])
    late.outputs[0].shape, late.outputs[0].type = narrow.shape, narrow.type
    graph.insert_after(node, [*added, moved, late])
    _replace(node, late.outputs[0])
    graph.remove(node, safe=True)


def _replace(node: ir.Node, value: ir.Value | None) -> None:
    assert value is not None
    ir.convenience.replace_all_uses_with(node.outputs[0], value)


def squeeze_of(value: ir.Value | None) -> ir.Node | None:
    """Find the Squeeze of named axes that a value comes from."""
    node = None if value is None else value.producer()
    named = node is not None and node.op_type == "Squeeze" and len(node.inputs) == 2
    return node if named else None


def _same(first: ir.Value | None, second: ir.Value | None) -> bool:
    """Whether two values are the same constant."""
    one, two = (v and ir.convenience.get_const_tensor(v) for v in (first, second))
    return bool(one and two and np.array_equal(one.numpy(), two.numpy()))


def _broadcasts(value: ir.Value, node: ir.Node) -> bool:
    """Whether an input means the same with one more dimension beside it."""
    return value.shape is not None and (len(value.shape) == 0 or _is_norm(node))


def _is_norm(node: ir.Node) -> bool:
    return node.op_type == "RMSNormalization"  # over the last dimension, never a squeezed one
