"""Join past and present samples with channels last in an exported graph.

A convolution reads its state, [batch, channels, past], and the new samples joined in time, and
keeps the end of both as the next state. With a row for each sample these joins and cuts are whole
blocks of memory, and onnxruntime reads such rows straight into its blocked layout. So the states
of such convolutions are [batch, 1, past, channels] in the graph; of one channel, as they were.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from audiodec.export.layout import squeeze_of

CHANNELS_LAST, CHANNELS_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)
TIME = 2  # as it is first, and with channels last too
END = np.iinfo(np.int64).max


def join_channels_last(graph: ir.Graph) -> None:
    """Turn Concat(state, x) -> convolution, and with it the Slice that is the next state: time is
    the same axis before and after. Leaves unused nodes behind."""
    for node in list(graph):
        if node.op_type == "Concat" and len(node.inputs) == 2:
            state, new = node.inputs
            if node.attributes.get_int("axis") in (-1, TIME) and state and new:
                _rewrite(graph, node, state, new)


def _rewrite(graph: ir.Graph, join: ir.Node, state: ir.Value, new: ir.Value) -> None:
    if not state.is_graph_input() or state.shape is None or len(state.shape) != 3:
        return
    batch, channels, past = state.shape
    users = [use.node for use in join.outputs[0].uses()]
    convolved = next((user for user in users if _is_image(user)), None)
    kept = next((user for user in users if _is_end(user, past)), None)
    if channels == 1 or convolved is None or kept is None or len(users) != 2:
        return
    squeeze = squeeze_of(new)
    if squeeze is not None and _holds(squeeze.inputs[1], TIME):
        wide, added = squeeze.inputs[0], []
    else:
        axes = ir.node("Constant", [], {"value_ints": [TIME]})
        added = [axes, ir.node("Unsqueeze", [new, axes.outputs[0]])]
        wide = added[1].outputs[0]
    rows = ir.node("Transpose", [wide], {"perm": CHANNELS_LAST})
    graph.insert_before(join, [*added, rows])
    join.replace_input_with(1, rows.outputs[0])
    join.attributes["axis"] = ir.AttrInt64("axis", TIME)
    for value in (state, join.outputs[0], kept.outputs[0]):
        assert value.shape is not None
        value.shape = ir.Shape([batch, 1, value.shape[TIME], channels])
    image = ir.node("Transpose", [join.outputs[0]], {"perm": CHANNELS_FIRST})
    graph.insert_after(join, image)
    ir.convenience.replace_all_uses_with(convolved.outputs[0], image.outputs[0])


def _is_image(node: ir.Node) -> bool:
    """Whether a node makes a convolution's four dimensions."""
    uses = node.outputs[0].uses()
    convolutions = all(use.node.op_type == "Conv" for use in uses)
    return node.op_type == "Unsqueeze" and convolutions and _holds(node.inputs[1], TIME)


def _is_end(node: ir.Node, count: int | ir.SymbolicDim) -> bool:
    """Whether a node takes the last `count` samples, and nothing goes on with them."""
    if node.op_type != "Slice" or not isinstance(count, int) or len(node.inputs) < 4:
        return False
    bounds = zip(node.inputs[1:4], (-count, END, TIME), strict=True)
    return node.outputs[0].is_graph_output() and all(_holds(*bound) for bound in bounds)


def _holds(value: ir.Value | None, number: int) -> bool:
    """Whether a value is the constant [number]; the exporter makes some of scalars."""
    node = None if value is None else value.producer()
    if node is not None and node.op_type == "Reshape":
        value = node.inputs[0]
    tensor = None if value is None else ir.convenience.get_const_tensor(value)
    return tensor is not None and tensor.numpy().ravel().tolist() == [number]
