"""Arithmetic of constants, as freezing a graph leaves it behind, becomes the constant."""

from __future__ import annotations

from dataclasses import replace

from tf2ms.graph import Node, Tensor
from tf2ms.graph.constant import FOLDED_OPS
from tf2ms.rewrite import View, rewrites
from tf2ms.rewrite.normalisation import normalisation


@rewrites(*FOLDED_OPS)
def folded(view: View, node: Node) -> Node | None:
    """Floating-point arithmetic of constants alone  =>  a constant; integers are shapes, which the rules read."""
    value = view.constant(Tensor(node.name))
    if value is None or value.dtype.kind not in "fc":
        return None
    attrs = {"dtype": value.dtype.name, "value": value}
    return replace(node, op="Const", inputs=(), attrs=attrs, shapes=(value.shape,))


rewrites("Add", "AddV2", "Sub")(normalisation)  # once more, now that computed scales are constants
rewrites("Mul", "RealDiv")(normalisation)
