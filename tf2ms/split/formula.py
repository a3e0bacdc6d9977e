"""A tensor's arithmetic as one line of text, for people: `sqrt(sum(square(xyz - Placeholder_1))) * 0.3`."""

from __future__ import annotations

from collections.abc import Collection

from tf2ms.graph import Graph, Tensor
from tf2ms.split.types import short_float

_INFIX = {"Add": "+", "AddV2": "+", "Sub": "-", "Mul": "*", "RealDiv": "/", "Div": "/", "MatMul": "@"}
_LOOSE = {"+", "-"}


def formula(graph: Graph, tensor: Tensor, leaves: Collection[str], limit: int = 400) -> str:
    """`tensor` in terms of the nodes in `leaves`, placeholders, variables and constants; at most `limit` characters."""
    text, _ = _write(graph, tensor, leaves, 24)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _write(graph: Graph, tensor: Tensor, leaves: Collection[str], depth: int) -> tuple[str, str]:
    """(text, its outermost infix operator or nothing)."""
    node = graph[tensor.node]
    constant = graph.constant(tensor)
    if constant is not None and constant.size == 1 and constant.dtype.kind in "fiub":
        value = constant.item()
        return (f"{short_float(value):g}" if isinstance(value, float) else str(value)), ""
    if tensor.node in leaves or not node.inputs or depth == 0:
        return (node.name if tensor.index == 0 else str(tensor)), ""
    if node.op in _INFIX and len(node.inputs) == 2:
        operator = _INFIX[node.op]
        (left, left_op), (right, right_op) = (_write(graph, item, leaves, depth - 1) for item in node.inputs)
        if left_op in _LOOSE and operator not in _LOOSE:
            left = f"({left})"
        if (right_op in _LOOSE and operator != "+") or (right_op and operator == "/"):
            right = f"({right})"
        return f"{left} {operator} {right}", operator
    data = [item for item in node.inputs if graph.constant(item) is None] or list(node.inputs[:1])
    arguments = ", ".join(_write(graph, item, leaves, depth - 1)[0] for item in data)
    return f"{_function(node.op)}({arguments})", ""


def _function(op: str) -> str:
    """`SquaredDifference` -> `squared_difference`."""
    return "".join(
        f"_{char.lower()}" if char.isupper() and i and op[i - 1].islower() else char.lower()
        for i, char in enumerate(op)
    )


def terms(graph: Graph, loss: Tensor, leaves: Collection[str]) -> tuple[Tensor, ...]:
    """The summands of the loss, left to right."""
    found: list[Tensor] = []
    stack = [loss]
    while stack:
        tensor = stack.pop()
        node = graph[tensor.node]
        if node.op in ("Add", "AddV2", "AddN") and tensor.node not in leaves:
            stack.extend(reversed(node.inputs))
        else:
            found.append(tensor)
    return tuple(found)
