"""Zeros in the form of something that need not be computed for that."""

from __future__ import annotations

from collections.abc import Sequence

from tf2ms.flow.bodies import substituted
from tf2ms.graph import Graph, Tensor
from tf2ms.rules.sizes import Part, try_sizes

_MOST_NODES = 200
"""A step of a cell is smaller than this."""

_UNARY = frozenset({"Sigmoid", "Tanh", "Relu", "Identity", "BiasAdd", "MatMul"})
_BINARY = frozenset({"Add", "AddV2", "Sub", "Mul"})


def plain_zeros(graph: Graph, ends: Sequence[Tensor]) -> Graph:
    """The graph without `zeros_like(y)` where zeros of y's shape are there already, as a cell's first state is.

    Keras asks for the form of a masked layer's output by computing the first step.
    """
    stand_ins = {}
    for node in graph:
        shape = node.shape()
        if node.op != "ZerosLike" or shape is None or len(shape) != 2 or shape[1] is None:
            continue
        near = graph.ancestors([node.inputs[0].node])
        fills = [graph[name] for name in near if graph[name].op == "Fill" and graph[name].shape() == shape]
        rows = _rows(graph, node.inputs[0], {})
        for fill in sorted(fills, key=lambda own: own.name):
            value = graph.constant(fill.inputs[1])
            zero = value is not None and not value.any()
            if zero and rows is not None and _rows(graph, Tensor(fill.name), {}) == rows:
                stand_ins[Tensor(node.name)] = Tensor(fill.name)
                break
    return substituted(graph, stand_ins, ends)


def _rows(graph: Graph, tensor: Tensor, known: dict[Tensor, Part | None]) -> Part | None:
    """The size of the tensor's first axis, by what it comes from; None if that is not known to be one thing."""
    if tensor not in known:
        known[tensor] = None
        if len(known) < _MOST_NODES:
            known[tensor] = _found_rows(graph, tensor, known)
    return known[tensor]


def _found_rows(graph: Graph, tensor: Tensor, known: dict[Tensor, Part | None]) -> Part | None:
    node = graph[tensor.node]
    if node.op == "Fill":
        sizes = try_sizes(graph, node.inputs[0])
        return sizes.parts[0] if sizes is not None and sizes.whole is None else None
    if node.op in _UNARY and not node.attr("transpose_a"):
        return _rows(graph, node.inputs[0], known)
    if node.op == "Split":
        axis = graph.constant(node.inputs[0])
        return _rows(graph, node.inputs[1], known) if axis is not None and int(axis) in (1, -1) else None
    if node.op in _BINARY:
        whole = [t for t in node.inputs if not graph[t.node].is_weight() and len(graph.shape(t) or (0, 0)) == 2]
        found = {_rows(graph, operand, known) for operand in whole}
        return found.pop() if len(found) == 1 else None
    if node.op == "StridedSlice" and node.attr("begin_mask", 0) & node.attr("end_mask", 0) & 1:
        columns = not any(node.attr(name) for name in ("shrink_axis_mask", "new_axis_mask", "ellipsis_mask"))
        return _rows(graph, node.inputs[0], known) if columns else None
    return _of_row(graph, tensor)


def _of_row(graph: Graph, tensor: Tensor) -> Part | None:
    """The batch of `transpose(x, (1, 0, 2))[0]` is that of x."""
    node = graph[tensor.node]
    if node.op != "StridedSlice" or node.attr("shrink_axis_mask") != 1 or node.attr("new_axis_mask"):
        return None
    moved = graph[node.inputs[0].node]
    perm = graph.constant(moved.inputs[1]) if moved.op == "Transpose" and len(moved.inputs) == 2 else None
    if perm is None or perm.tolist()[:2] != [1, 0]:
        return None
    return Part("{0}.shape[0]", (moved.inputs[0],))
