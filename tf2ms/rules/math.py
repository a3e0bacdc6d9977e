"""Arithmetic: element by element, and reductions."""

from __future__ import annotations

from tf2ms.graph import Graph, Node
from tf2ms.layout import Need, any_order
from tf2ms.rules.op import Expression, Op
from tf2ms.rules.registry import elementwise, rule

elementwise("Add", "AddV2", form="{0} + {1}")
elementwise("Sub", form="{0} - {1}")
elementwise("Mul", form="{0} * {1}")
elementwise("RealDiv", form="{0} / {1}")
elementwise("Pow", form="{0} ** {1}")
elementwise("Neg", form="-{0}")
elementwise("Abs", form="ops.abs({0})")
elementwise("Square", form="ops.square({0})")
elementwise("Sqrt", form="ops.sqrt({0})")
elementwise("Rsqrt", form="ops.rsqrt({0})")
elementwise("Exp", form="ops.exp({0})")
elementwise("Log", form="ops.log({0})")
elementwise("Tanh", form="2 * ops.sigmoid(2 * {0}) - 1", note="ops.tanh has an absolute error of 1e-4 on CPU")
elementwise("SquaredDifference", form="ops.square({0} - {1})")
elementwise(
    "Maximum", form="ops.maximum({0}, {1})", note="the gradient of ties is split; TensorFlow's goes to the first"
)
elementwise(
    "Minimum", form="ops.minimum({0}, {1})", note="the gradient of ties is split; TensorFlow's goes to the first"
)


@rule("AddN", layout=any_order, form="{0} + {1} + …")
def add_n(op: Op) -> Expression:
    """tf.add_n."""
    return op.form(" + ".join(f"{{{index}}}" for index in range(len(op))))


def _reduction_layout(node: Node, graph: Graph) -> Need:
    """The axes follow the input; what is left must still be in the original order, or whole."""
    rank = len(graph.shape(node.inputs[0]) or ())
    axes = graph.constant(node.inputs[1])
    if rank < 3 or axes is None:
        return Need(original=(("in", 0), ("out", 0)))
    if node.attr("keep_dims"):
        return Need(tied=(("in", 0), ("out", 0)))
    left = rank - len({int(axis) % rank for axis in axes.reshape(-1)})
    spatial = {int(axis) % rank for axis in axes.reshape(-1)} == set(range(1, rank - 1))
    return Need(original=(("out", 0),)) if left <= 1 or spatial else Need(original=(("in", 0), ("out", 0)))


@rule("Sum", "Mean", "Max", "Min", "Prod", layout=_reduction_layout, form="ops.reduce_sum and its kin")
def reduction(op: Op) -> Expression:
    """tf.reduce_sum and its kin; all axes need not be named."""
    function = {"Sum": "reduce_sum", "Mean": "reduce_mean", "Max": "reduce_max", "Min": "reduce_min"}
    name = function.get(op.node.op, "reduce_prod")
    axes = sorted({op.axis(axis) for axis in op.required_constant(1, "the axis").reshape(-1)})
    keep = bool(op.attr("keep_dims", False))
    if not axes:
        return op.form("{0}", op.input(0))  # no axis: nothing is reduced
    if len(axes) == op.rank() and not keep:
        return op.form(f"ops.{name}({{0}})" if name.endswith(("sum", "mean")) else f"{{0}}.{name[7:]}()", op.input(0))
    axis = axes[0] if len(axes) == 1 else tuple(axes)
    return op.form(f"ops.{name}({{0}}, {axis}{', keep_dims=True' if keep else ''})", op.input(0))
