"""Shapes: reshape, concatenation, split, transposition, padding."""

from __future__ import annotations

from tf2ms.graph import Graph, Node
from tf2ms.layout import Need, any_order, keeps_order
from tf2ms.layout.types import ports
from tf2ms.rules.op import Expression, Op
from tf2ms.rules.registry import elementwise, rule

elementwise("StopGradient", "PreventGradient", form="ops.stop_gradient({0})")
elementwise("ZerosLike", form="ops.zeros_like({0})")
elementwise("OnesLike", form="ops.ones_like({0})")


def _is_flatten(node: Node, graph: Graph) -> bool:
    """[batch, h, w, c] -> [batch, h * w * c]."""
    source, target = graph.shape(node.inputs[0]), node.shape()
    if source is None or target is None or len(source) < 3 or len(target) != 2 or None in source[1:]:
        return False
    features = 1
    for size in source[1:]:
        features *= size or 0
    return target[1] == features and source[0] == target[0]


def _reshape_layout(node: Node, graph: Graph) -> Need:
    """A flatten may keep channels first, if what reads it can have its features in that order."""
    every = ports(node, graph)
    return Need(tied=(("in", 0), ("out", 0))) if _is_flatten(node, graph) else Need(original=every)


@rule("Reshape", layout=_reshape_layout, form="ops.flatten, x.reshape")
def reshape(op: Op) -> Expression:
    """tf.reshape; a flatten stays one whatever the batch. Channels-first features need permuted dense weights."""
    if _is_flatten(op.node, op.graph):
        return op.form("ops.flatten({0})", op.input(0))
    shape = tuple(int(size) for size in op.required_constant(1, "the shape").reshape(-1))
    source, target = op.shape(0), op.output_shape()
    if -1 not in shape and source and target and source[0] == target[0] == shape[0] and len(shape) > 1:
        shape = (-1, *shape[1:])  # the batch stays free
    return op.form(f"{{0}}.reshape({shape})", op.input(0))


def _joined(node: Node, graph: Graph) -> Need:
    """Like any_order, but flattened features do not stay together when they are cut or joined."""
    need = any_order(node, graph)
    return need if len(node.shape() or ()) >= 3 else Need(original=need.tied or need.original)


@rule("ConcatV2", "Concat", layout=_joined, form="ops.concat")
def concat(op: Op) -> Expression:
    """tf.concat; the axis is the last input of ConcatV2 and the first of Concat."""
    at = len(op) - 1 if op.node.op == "ConcatV2" else 0
    data = [index for index in range(len(op)) if index != at]
    axis = op.axis(int(op.required_constant(at, "the axis")), data[0])
    places = ", ".join(f"{{{i}}}" for i in range(len(data)))
    return op.form(f"ops.concat(({places}), axis={axis})", *(op.input(index) for index in data))


@rule("Split", layout=_joined, form="ops.split")
def split(op: Op) -> Expression:
    """tf.split into equal parts; MindSpore is given the size of a part."""
    axis = op.axis(int(op.required_constant(0, "the axis")), 1)
    size = op.output_shape()[int(op.required_constant(0, "the axis")) % op.rank(1)]  # type: ignore[index]
    return op.form(f"ops.split({{0}}, {size}, axis={axis})", op.input(1))


@rule("Transpose", layout=keeps_order, form="ops.transpose")
def transpose(op: Op) -> Expression:
    """tf.transpose, and the layout stage's own."""
    perm = op.attr("perm")
    if perm is None:
        perm = op.required_constant(1, "the permutation").reshape(-1)
    return op.form(f"ops.transpose({{0}}, {tuple(int(axis) for axis in perm)})", op.input(0))


@rule("Squeeze", form="ops.squeeze")
def squeeze(op: Op) -> Expression:
    """tf.squeeze; without axes TensorFlow drops every axis of size 1."""
    axes = tuple(sorted(int(axis) % op.rank() for axis in op.attr("squeeze_dims") or ()))
    if not axes:
        return op.form("{0}.squeeze()", op.input(0))
    return op.form(f"{{0}}.squeeze({axes[0] if len(axes) == 1 else axes})", op.input(0))


@rule("ExpandDims", form="ops.expand_dims")
def expand_dims(op: Op) -> Expression:
    """tf.expand_dims."""
    return op.form(f"ops.expand_dims({{0}}, {int(op.required_constant(1, 'the axis'))})", op.input(0))
