"""Batch and layer normalisation spelled out in small ops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from tf2ms.graph import Node, Tensor
from tf2ms.rewrite import View, rewrites


@dataclass(frozen=True)
class _Normalised:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, as it was found."""

    x: Tensor
    mean: Tensor
    variance: Tensor
    epsilon: float
    gamma: Tensor | None
    beta: Tensor | None
    nodes: tuple[Node, ...]


@rewrites("Add", "AddV2", "Sub")
def normalisation(view: View, end: Node) -> Node | None:
    """x * a + (beta - mean * a) with a = rsqrt(variance + epsilon) * gamma  =>  batch or layer normalisation."""
    for found in _parsed(view, end):
        node = _batch_norm(view, end, found) or _layer_norm(view, end, found)
        if node is not None:
            return node
    return None


def _parsed(view: View, end: Node) -> Iterator[_Normalised]:
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
                yield _Normalised(x, mean, variance, epsilon, gamma, beta, (end, scaled, *nodes, *more))


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


def _batch_norm(view: View, end: Node, found: _Normalised) -> Node | None:
    """Statistics that are weights: batch normalisation in inference."""
    shape = view.shape(found.x)
    channels = shape[-1] if shape and len(shape) in (2, 3, 4) else None
    if channels is None:
        return None
    statistics = [view.vector(tensor, channels) for tensor in (found.mean, found.variance)]
    if None in statistics:
        return None
    affine = _affine(view, end, found, (channels,))
    if affine is None:
        return None
    inputs = (found.x, *affine, *(tensor for tensor in statistics if tensor is not None))
    attrs = {"T": end.attr("T", "float32"), "epsilon": found.epsilon, "is_training": False}
    return replace(end, op="FusedBatchNormV3", inputs=inputs, attrs=attrs, origins=_origins(found))


def _layer_norm(view: View, end: Node, found: _Normalised) -> Node | None:
    """Statistics of x itself over its last axes: layer normalisation."""
    mean, variance, shape = view[found.mean], view[found.variance], view.shape(found.x)
    if mean.op != "Mean" or variance.op != "Mean" or shape is None or mean.inputs[0] != found.x:
        return None
    squares = view[variance.inputs[0]]
    if squares.op != "SquaredDifference" or squares.inputs[0] != found.x:
        return None
    stopped = view[squares.inputs[1]]
    if (stopped.inputs[0] if stopped.op == "StopGradient" else squares.inputs[1]) != found.mean:
        return None
    reduced = [view.constant(node.inputs[1]) for node in (mean, variance)]
    if any(axes is None for axes in reduced) or not (mean.attr("keep_dims") and variance.attr("keep_dims")):
        return None
    first, second = (sorted(int(axis) % len(shape) for axis in axes.reshape(-1)) for axes in reduced)
    sizes = shape[len(shape) - len(first) :]
    if first != second or first != list(range(len(shape) - len(first), len(shape))) or None in sizes:
        return None
    affine = _affine(view, end, found, tuple(size or 0 for size in sizes))
    if affine is None:
        return None
    attrs = {"T": end.attr("T", "float32"), "epsilon": found.epsilon}
    origins = _origins(found) + mean.origins + variance.origins + squares.origins
    return replace(end, op="LayerNorm", inputs=(found.x, *affine), attrs=attrs, origins=origins)


def _affine(view: View, end: Node, found: _Normalised, shape: tuple[int, ...]) -> tuple[Tensor, Tensor] | None:
    """gamma and beta as weights of that shape, ones and zeros where missing; None where they are computed."""
    dtype = end.attr("T", "float32")
    result = []
    for name, tensor, start in (("gamma", found.gamma, np.ones), ("beta", found.beta, np.zeros)):
        if tensor is None:
            result.append(view.add_constant(f"{end.name}/{name}", start(shape, dtype)))
            continue
        weight = view.vector(tensor, shape[0]) if len(shape) == 1 else tensor
        if weight is None or view[weight].weight_shape() != shape:
            return None
        result.append(weight)
    return result[0], result[1]


def _origins(found: _Normalised) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for node in found.nodes for name in node.origins))
