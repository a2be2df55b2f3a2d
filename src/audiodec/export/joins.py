"""Join past and present samples with channels last in an exported graph.

A convolution reads its state, [batch, channels, past], and the new samples joined in time, and
keeps the end of both as the next state. With a row for each sample these joins and cuts are whole
blocks of memory, and onnxruntime reads such rows straight into its blocked layout. So the states
of such convolutions are [batch, 1, past, channels] in the graph.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

CHANNELS_LAST, CHANNELS_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)
TIME = 2  # as it is first, and with channels last too


def join_channels_last(graph: ir.Graph) -> None:
    """Rewrite Concat(state, x) -> convolution, and the Slice that is the next state. Leaves
    unused nodes behind."""
    for node in list(graph):
        if node.op_type == "Concat" and node.attributes.get_int("axis") in (-1, TIME):
            _rewrite(graph, node)


def _rewrite(graph: ir.Graph, join: ir.Node) -> None:
    if len(join.inputs) != 2:
        return
    (state, new), users = join.inputs, [use.node for use in join.outputs[0].uses()]
    convolved = [user for user in users if user.op_type == "Unsqueeze"]
    kept = [user for user in users if user.op_type == "Slice"]
    if state is None or not state.is_graph_input() or state.shape is None or new is None:
        return
    if not (len(convolved) == len(kept) == 1 and len(users) == 2 and len(state.shape) == 3):
        return
    batch, channels, past = state.shape
    if channels == 1 or not isinstance(past, int):  # nothing to order
        return
    squeeze = new.producer()
    if squeeze is not None and squeeze.op_type == "Squeeze":
        wide, added = squeeze.inputs[0], []
    else:
        added = [ir.node("Unsqueeze", [new, convolved[0].inputs[1]])]
        wide = added[0].outputs[0]
    rows = ir.node("Transpose", [wide], {"perm": CHANNELS_LAST})
    joined = ir.node("Concat", [state, rows.outputs[0]], {"axis": TIME})
    image = ir.node("Transpose", [joined.outputs[0]], {"perm": CHANNELS_FIRST})
    bounds = (-past, np.iinfo(np.int64).max, TIME)
    start, end, axis = (ir.node("Constant", [], {"value_ints": [bound]}) for bound in bounds)
    after = ir.node("Slice", [joined.outputs[0], *(c.outputs[0] for c in (start, end, axis))])
    graph.insert_after(join, [*added, rows, joined, image, start, end, axis, after])
    state.shape = ir.Shape([batch, 1, past, channels])
    ir.convenience.replace_all_uses_with(convolved[0].outputs[0], image.outputs[0])
    _replace_output(graph, kept[0].outputs[0], after.outputs[0], state.shape)
    for node in (*convolved, *kept, join):
        graph.remove(node, safe=True)


def _replace_output(graph: ir.Graph, old: ir.Value, new: ir.Value, shape: ir.Shape) -> None:
    new.type, new.shape = old.type, shape
    new.name, old.name = old.name, None
    graph.outputs[graph.outputs.index(old)] = new
