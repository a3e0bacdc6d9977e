"""Batch, layer, instance and group normalisation spelled out in small ops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tf2ms.graph import Node, Tensor
from tf2ms.rewrite import View, rewrites
from tf2ms.rewrite.normalised import Normalised, parsed
from tf2ms.rewrite.weights import as_shape, same_shape


def normalisation(view: View, end: Node) -> Node | None:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta  =>  batch, layer or instance normalisation."""
    for found in parsed(view, end):
        node = _batch_norm(view, end, found) or _layer_norm(view, end, found) or _instance_norm(view, end, found)
        if node is not None:
            return node
    return None


rewrites("Add", "AddV2", "Sub")(normalisation)
rewrites("Mul", "RealDiv")(normalisation)  # without beta: only what is left


@rewrites("Reshape")
def group_norm(view: View, end: Node) -> Node | None:
    """Channels split into groups, each normalised over its channels and space, put together  =>  GroupNorm."""
    inner = view.only(end.inputs[0], "Add", "AddV2", "Sub", "Mul", "RealDiv")
    for found in parsed(view, inner) if inner is not None else ():
        split = view[found.x]
        shape, grouped = view.shape(split.inputs[0]) if split.op == "Reshape" else None, view.shape(found.x)
        if inner is None or shape is None or grouped is None or len(grouped) < 4 or None in grouped[-2:]:
            continue
        groups, size = grouped[-2] or 0, grouped[-1] or 0
        rank, axes = len(grouped), _own_axes(view, found)
        if not same_shape(grouped, (*shape[:-1], groups, size)) or not same_shape(end.shape(), shape):
            continue
        if axes != [*range(1, rank - 2), rank - 1] or shape[-1] != groups * size:
            continue
        affine = _affine(view, end, found, (groups, size), flat=True)
        if affine is not None:
            attrs = {"T": inner.attr("T", "float32"), "epsilon": found.epsilon, "groups": groups}
            origins = (*end.origins, *_origins(found), *split.origins)
            return replace(end, op="GroupNorm", inputs=(split.inputs[0], *affine), attrs=attrs, origins=origins)
    return None


def _batch_norm(view: View, end: Node, found: Normalised) -> Node | None:
    """Statistics that are weights: batch normalisation in inference."""
    shape = view.shape(found.x)
    channels = shape[-1] if shape and len(shape) in (2, 3, 4, 5) else None
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


def _layer_norm(view: View, end: Node, found: Normalised) -> Node | None:
    """Statistics of x itself over its last axes: layer normalisation."""
    axes, shape = _own_axes(view, found), view.shape(found.x)
    if axes is None or shape is None or axes != list(range(len(shape) - len(axes), len(shape))):
        return None
    sizes = shape[len(shape) - len(axes) :]
    affine = _affine(view, end, found, tuple(size or 0 for size in sizes)) if None not in sizes else None
    if affine is None:
        return None
    attrs = {"T": end.attr("T", "float32"), "epsilon": found.epsilon}
    return replace(end, op="LayerNorm", inputs=(found.x, *affine), attrs=attrs, origins=_all_origins(view, found))


def _instance_norm(view: View, end: Node, found: Normalised) -> Node | None:
    """Statistics of x itself over space: group normalisation with one channel a group."""
    axes, shape = _own_axes(view, found), view.shape(found.x)
    if axes is None or shape is None or shape[-1] is None or axes != list(range(1, len(shape) - 1)):
        return None
    affine = _affine(view, end, found, (shape[-1],))
    if affine is None:
        return None
    attrs = {"T": end.attr("T", "float32"), "epsilon": found.epsilon, "groups": shape[-1]}
    return replace(end, op="GroupNorm", inputs=(found.x, *affine), attrs=attrs, origins=_all_origins(view, found))


def _own_axes(view: View, found: Normalised) -> list[int] | None:
    """The axes over which mean and variance are those of x itself; None where they are anything else."""
    mean, variance, shape = view[found.mean], view[found.variance], view.shape(found.x)
    if mean.op != "Mean" or variance.op != "Mean" or shape is None or mean.inputs[0] != found.x:
        return None
    if not (mean.attr("keep_dims") and variance.attr("keep_dims")) or not _are_squares(view, variance.inputs[0], found):
        return None
    reduced = [view.constant(node.inputs[1]) for node in (mean, variance)]
    if any(axes is None for axes in reduced):
        return None
    first, second = (sorted(int(axis) % len(shape) for axis in axes.reshape(-1)) for axes in reduced)
    return first if first and first == second else None


def _are_squares(view: View, tensor: Tensor, found: Normalised) -> bool:
    """Whether these are the squares of x - mean."""
    squares = view[tensor]
    if squares.op == "Square":
        squares = view[squares.inputs[0]]
        return squares.op == "Sub" and squares.inputs == (found.x, found.mean)
    if squares.op != "SquaredDifference" or squares.inputs[0] != found.x:
        return False
    stopped = view[squares.inputs[1]]
    return (stopped.inputs[0] if stopped.op == "StopGradient" else squares.inputs[1]) == found.mean


def _affine(
    view: View, end: Node, found: Normalised, shape: tuple[int, ...], flat: bool = False
) -> tuple[Tensor, Tensor] | None:
    """gamma and beta as weights of that shape, ones and zeros where missing; None where they are computed."""
    dtype = end.attr("T", "float32")
    result = []
    for name, tensor, start in (("gamma", found.gamma, np.ones), ("beta", found.beta, np.zeros)):
        size = (int(np.prod(shape)),) if flat else shape
        if tensor is None:
            result.append(view.add_constant(f"{end.name}/{name}", start(size, dtype)))
            continue
        weight = view.vector(tensor, shape[0]) if len(shape) == 1 else tensor
        own = view[weight].weight_shape() if weight is not None else None
        if weight is None or own is None or own[-len(shape) :] != shape or set(own[: -len(shape)]) - {1}:
            return None
        if own != size:
            flattened = as_shape(replace(view[weight], name=f"{weight.node}/vector"), view[weight], size)
            view.nodes[flattened.name] = flattened
            weight = Tensor(flattened.name)
        result.append(weight)
    return result[0], result[1]


def _all_origins(view: View, found: Normalised) -> tuple[str, ...]:
    """Where all of it stood, the statistics included."""
    statistics = (view[found.mean], view[found.variance], view[view[found.variance].inputs[0]])
    return tuple(dict.fromkeys((*_origins(found), *(name for node in statistics for name in node.origins))))


def _origins(found: Normalised) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for node in found.nodes for name in node.origins))
