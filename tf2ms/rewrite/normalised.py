"""(x - mean) / sqrt(variance + epsilon) * gamma + beta, in the ways that people and libraries spell it out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tf2ms.graph import Node, Tensor
from tf2ms.rewrite import View


@dataclass(frozen=True)
class Normalised:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, as it was found."""

    x: Tensor
    mean: Tensor
    variance: Tensor
    epsilon: float
    gamma: Tensor | None
    beta: Tensor | None
    nodes: tuple[Node, ...]


def parsed(view: View, end: Node) -> Iterator[Normalised]:
    """The ways to read the formula that ends in `end`."""
    if end.op in ("Add", "AddV2", "Sub"):
        yield from _scale_and_shift(view, end)
    if end.op in ("Add", "AddV2"):
        for product, beta in (end.inputs[:2], end.inputs[1::-1]):
            node = view.only(product, "Mul", "RealDiv")
            if node is not None:
                yield from _quotient(view, node, beta, (end,))
    elif end.op in ("Mul", "RealDiv"):
        yield from _quotient(view, end, None, ())


def _quotient(view: View, end: Node, beta: Tensor | None, nodes: tuple[Node, ...]) -> Iterator[Normalised]:
    """gamma * (x - mean) / sqrt(variance + epsilon), its factors in any order."""
    above, below, inner = _factors(view, end)
    centred = [tensor for tensor in above if view[tensor].op == "Sub"]
    roots = [(tensor, "Rsqrt") for tensor in above if view[tensor].op == "Rsqrt"]
    roots += [(tensor, "Sqrt") for tensor in below]
    if len(centred) != 1 or len(roots) != 1:
        return
    gammas = [tensor for tensor in above if tensor != centred[0] and tensor != roots[0][0]]
    root = view[roots[0][0]]
    half = root.op == "Pow" and view.number(root.inputs[1]) == 0.5
    total = view[root.inputs[0]] if root.op == roots[0][1] or (half and roots[0][1] == "Sqrt") else None
    if len(gammas) > 1 or total is None or total.op not in ("Add", "AddV2"):
        return
    difference = view[centred[0]]
    for variance, added in (total.inputs[:2], total.inputs[1::-1]):
        epsilon = view.number(added)
        if epsilon is not None:
            gamma = gammas[0] if gammas else None
            found = (*nodes, *inner, difference, root, total)
            yield Normalised(difference.inputs[0], difference.inputs[1], variance, epsilon, gamma, beta, found)


_MAX_FACTORS = 4


def _factors(view: View, end: Node) -> tuple[list[Tensor], list[Tensor], tuple[Node, ...]]:
    """(what is multiplied, what it is divided by, the nodes that do so), products inside opened."""
    above: list[Tensor] = []
    below: list[Tensor] = []
    nodes = [end]
    waiting = [(end.inputs[0], False), (end.inputs[1], end.op == "RealDiv")]
    while waiting:
        tensor, under = waiting.pop()
        node = view.only(tensor, "Mul", "RealDiv") if not under and len(nodes) < _MAX_FACTORS else None
        if node is None:
            (below if under else above).append(tensor)
        else:
            nodes.append(node)
            waiting += [(node.inputs[0], False), (node.inputs[1], node.op == "RealDiv")]
    return above, below, tuple(nodes)


def _scale_and_shift(view: View, end: Node) -> Iterator[Normalised]:
    """x * a + (beta - mean * a) with a = rsqrt(variance + epsilon) * gamma, as TensorFlow writes it."""
    left, right = end.inputs[:2]
    for product, rest in ((left, right), (right, left)) if end.op != "Sub" else ((left, right),):
        scaled = view.only(product, "Mul")
        if scaled is None:
            continue
        for x, scale in (scaled.inputs[:2], scaled.inputs[1::-1]):
            offset = _offset(view, rest, scale, negated=end.op == "Sub")
            inverse = _inverse(view, scale) if offset else None
            if offset is not None and inverse is not None:
                mean, beta, nodes = offset
                variance, epsilon, gamma, more = inverse
                yield Normalised(x, mean, variance, epsilon, gamma, beta, (end, scaled, *nodes, *more))


def _offset(
    view: View, tensor: Tensor, scale: Tensor, negated: bool
) -> tuple[Tensor, Tensor | None, tuple[Node, ...]] | None:
    """(mean, beta, nodes) of beta - mean * scale, or of mean * scale if it is `negated`."""

    def product(side: Tensor) -> tuple[Tensor, Node] | None:
        node = view.only(side, "Mul")
        if node is not None and scale in node.inputs[:2]:
            return node.inputs[1 if node.inputs[0] == scale else 0], node
        return None

    def negative(side: Tensor) -> tuple[Tensor, tuple[Node, ...]] | None:
        """mean of -(mean * scale) or (-mean) * scale."""
        node = view.only(side, "Neg")
        if node is not None:
            found = product(node.inputs[0])
            return (found[0], (node, found[1])) if found else None
        found = product(side)
        inner = view.only(found[0], "Neg") if found else None
        return (inner.inputs[0], (inner, found[1])) if found and inner is not None else None

    if negated:
        found = product(tensor)
        return (found[0], None, (found[1],)) if found else None
    alone = negative(tensor)
    if alone is not None:
        return alone[0], None, alone[1]
    node = view.only(tensor, "Sub", "Add", "AddV2")
    if node is None:
        return None
    if node.op == "Sub":
        found = product(node.inputs[1])
        return (found[0], node.inputs[0], (node, found[1])) if found else None
    for side, beta in (node.inputs[:2], node.inputs[1::-1]):
        part = negative(side)
        if part is not None:
            return part[0], beta, (node, *part[1])
    return None


def _inverse(view: View, scale: Tensor) -> tuple[Tensor, float, Tensor | None, tuple[Node, ...]] | None:
    """(variance, epsilon, gamma, nodes) of rsqrt(variance + epsilon) * gamma, with or without gamma."""
    node = view[scale]
    choices: list[tuple[Tensor, Tensor | None]] = [(scale, None)]
    if node.op == "Mul":
        choices = [(node.inputs[0], node.inputs[1]), (node.inputs[1], node.inputs[0])]
    for root, gamma in choices:
        rsqrt = view[root]
        total = view[rsqrt.inputs[0]] if rsqrt.op == "Rsqrt" else None
        if total is None or total.op not in ("Add", "AddV2"):
            continue
        for variance, added in (total.inputs[:2], total.inputs[1::-1]):
            epsilon = view.number(added)
            if epsilon is not None:
                return variance, epsilon, gamma, (*((node,) if node is not rsqrt else ()), rsqrt, total)
    return None
