"""Normalisations spelled out in small ops: `x * inv + (beta - mean * inv)`, as Keras and tf.nn write them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tf2ms.graph import Node, Tensor
from tf2ms.rewrite import View, rewrites


@dataclass(frozen=True)
class _Normalisation:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, and the nodes that say so."""

    x: Tensor
    mean: Tensor
    variance: Tensor
    epsilon: float
    gamma: Tensor | None
    beta: Tensor | None
    nodes: tuple[Node, ...]


@rewrites("Add", "AddV2", "Sub")
def batch_norm(view: View, last: Node) -> Node | None:
    """Known mean and variance of each channel  =>  FusedBatchNormV3 in inference."""
    found = _read(view, last)
    if found is None:
        return None
    mean, variance = view.vector(found.mean), view.vector(found.variance)
    if mean is None or variance is None:
        return None
    channels = view[mean].weight_shape()
    vectors = [view.vector(given) if given else None for given in (found.gamma, found.beta)]
    if any(given and not own for given, own in zip((found.gamma, found.beta), vectors, strict=True)):
        return None
    shape = view.shape(found.x) or ()
    if len(shape) != 4 or shape[-1:] != channels or any(v and view[v].weight_shape() != channels for v in vectors):
        return None
    gamma, beta = (
        own or view.literal(f"{last.name}/{name}", np.full(channels, value, np.float32))
        for own, name, value in zip(vectors, ("gamma", "beta"), (1, 0), strict=True)
    )
    attrs = {"epsilon": found.epsilon, "is_training": False, "data_format": "NHWC", "T": "float32"}
    inputs = (found.x, gamma, beta, mean, variance)
    return replace(last, op="FusedBatchNormV3", inputs=inputs, attrs=attrs, origins=_origins(found, last))


@rewrites("Add", "AddV2", "Sub")
def layer_norm(view: View, last: Node) -> Node | None:
    """Mean and variance of each position's own channels  =>  LayerNorm over the last axis."""
    found = _read(view, last)
    if found is None or found.gamma is None or found.beta is None:
        return None
    gamma, beta = view.vector(found.gamma), view.vector(found.beta)
    mean, variance = view[found.mean], view[found.variance]
    shape = view.shape(found.x) or ()
    if gamma is None or beta is None or not all(_is_mean(view, node, len(shape)) for node in (mean, variance)):
        return None
    if view[gamma].weight_shape() != shape[-1:] or view[beta].weight_shape() != shape[-1:]:
        return None
    squares = view[variance.inputs[0]]
    centre = view[squares.inputs[1]] if squares.op == "SquaredDifference" else squares
    if centre.op == "StopGradient":
        centre = view[centre.inputs[0]]
    if squares.op != "SquaredDifference" or squares.inputs[0] != found.x or centre.name != mean.name:
        return None
    if mean.inputs[0] != found.x:
        return None
    attrs = {"epsilon": found.epsilon, "T": "float32"}
    origins = (*_origins(found, last), *mean.origins, *variance.origins, *squares.origins)
    return replace(last, op="LayerNorm", inputs=(found.x, gamma, beta), attrs=attrs, origins=origins)


def _read(view: View, last: Node) -> _Normalisation | None:
    """The parts of `x * inv + shift`, with `shift` one of beta - mean * inv, -mean * inv + beta and -mean * inv."""
    if str(last.attr("T") or "float32") != "float32":
        return None
    pairs = [last.inputs, last.inputs[::-1]] if last.op != "Sub" else []
    for scaled, shift in pairs:
        product = view.only(scaled, "Mul")
        if product is None:
            continue
        for x, inverse in (product.inputs, product.inputs[::-1]):
            scale = _inverse(view, inverse)
            moved = _shift(view, shift, inverse)
            if scale is None or moved is None:
                continue
            variance, epsilon, gamma, inner = scale
            mean, beta, outer = moved
            return _Normalisation(x, mean, variance, epsilon, gamma, beta, (product, *outer, *inner))
    return None


def _inverse(view: View, tensor: Tensor) -> tuple[Tensor, float, Tensor | None, tuple[Node, ...]] | None:
    """(variance, epsilon, gamma, nodes) of `rsqrt(variance + epsilon) * gamma`, gamma being optional."""
    node = view[tensor]
    choices: list[tuple[Tensor, Tensor | None]] = [(tensor, None)]
    if node.op == "Mul":
        choices = [(node.inputs[0], node.inputs[1]), (node.inputs[1], node.inputs[0])]
    for root, gamma in choices:
        rsqrt = view[root]
        add = view[rsqrt.inputs[0]] if rsqrt.op == "Rsqrt" else None
        if add is None or add.op not in ("Add", "AddV2"):
            continue
        for variance, small in (add.inputs, add.inputs[::-1]):
            epsilon = view.number(small)
            if epsilon is not None:
                nodes = (node, rsqrt, add) if gamma else (rsqrt, add)
                return variance, epsilon, gamma, nodes
    return None


def _shift(view: View, tensor: Tensor, inverse: Tensor) -> tuple[Tensor, Tensor | None, tuple[Node, ...]] | None:
    """(mean, beta, nodes) of what is added: minus the mean, times `inverse`, and beta."""
    node = view[tensor]
    if node.op == "Sub":
        mean = _times(view, node.inputs[1], inverse)
        return (mean, node.inputs[0], (node, view[node.inputs[1]])) if mean else None
    if node.op in ("Add", "AddV2"):
        for product, beta in (node.inputs, node.inputs[::-1]):
            mean = _negated_times(view, product, inverse)
            if mean:
                return mean, beta, (node, view[product])
        return None
    mean = _negated_times(view, tensor, inverse)
    return (mean, None, (node,)) if mean else None


def _times(view: View, tensor: Tensor, inverse: Tensor) -> Tensor | None:
    """The other factor of a product with `inverse`."""
    node = view[tensor]
    if node.op != "Mul" or inverse not in node.inputs:
        return None
    return node.inputs[1] if node.inputs[0] == inverse else node.inputs[0]


def _negated_times(view: View, tensor: Tensor, inverse: Tensor) -> Tensor | None:
    """x of `-x * inverse`, whichever of the two is negated."""
    node = view[tensor]
    if node.op == "Neg":
        return _times(view, node.inputs[0], inverse)
    factor = _times(view, tensor, inverse)
    return view[factor].inputs[0] if factor and view[factor].op == "Neg" else None


def _is_mean(view: View, node: Node, rank: int) -> bool:
    """Whether the node is a mean over the last axis that keeps it."""
    if node.op != "Mean" or not node.attr("keep_dims"):
        return False
    axes = view.constant(node.inputs[1])
    return axes is not None and axes.size == 1 and int(axes.reshape(-1)[0]) in (-1, rank - 1)


def _origins(found: _Normalisation, last: Node) -> tuple[str, ...]:
    return (*last.origins, *(name for node in found.nodes for name in node.origins))
