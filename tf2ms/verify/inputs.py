"""One batch for both sides: the user's, or numbers made to fit what consumes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tf2ms.errors import SourceError
from tf2ms.graph import Graph, Tensor
from tf2ms.source import read_weights

FREE_BATCH = 2
"""The batch where the graph leaves it free."""

_FREE_SIZES = {4: 64}
_FREE_SIZE = 16
_SCALED = frozenset({"Mul", "Add", "AddV2", "Sub", "RealDiv"})
_PASSED = frozenset({"Cast", "Reshape", "Squeeze", "ExpandDims", "Transpose", "StopGradient"})


def read_batch(path: str | Path, inputs: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """The batch in an .npz file, by tensor: its arrays by tensor, node or argument name, else in order.

    Raises: SourceError if there are too few arrays, or one has another shape than the graph's.
    """
    stored = read_weights(path)
    ordered = list(stored)
    batch = {}
    for index, item in enumerate(inputs):
        names = (item["tensor"], Tensor.parse(item["tensor"]).node, item["name"])
        key = next((name for name in names if name in stored), None)
        if key is None:
            if len(ordered) != len(inputs):
                raise SourceError(f"{path}: holds {', '.join(ordered)}, but not '{item['name']}' ({item['tensor']})")
            key = ordered[index]
        value = np.asarray(stored[key])
        shape = item["shape"]
        if shape is not None and (
            len(shape) != value.ndim or any(s not in (None, v) for s, v in zip(shape, value.shape, strict=True))
        ):
            wanted = ", ".join("?" if size is None else str(size) for size in shape)
            raise SourceError(f"{path}: {key} has shape {list(value.shape)}, the graph's input wants [{wanted}]")
        batch[item["tensor"]] = value.astype(item["dtype"])
    return batch


def make_batch(graph: Graph, inputs: Sequence[Mapping[str, Any]], batch_size: int, seed: int) -> dict[str, np.ndarray]:
    """A batch of random numbers: normal ones, labels as rows of one 1, integers in the range of what consumes them."""
    rng = np.random.default_rng(seed)
    batch = {}
    for item in inputs:
        shape = _filled(item["shape"] or (), batch_size)
        dtype = np.dtype(item["dtype"])
        if dtype.kind == "f" and _is_distribution(graph, Tensor.parse(item["tensor"])):
            value: Any = np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]
        elif dtype.kind == "f":
            value = rng.standard_normal(shape)
        elif dtype.kind == "b":
            value = rng.random(shape) < 0.5
        else:
            value = rng.integers(0, label_range(graph, Tensor.parse(item["tensor"])), shape)
        batch[item["tensor"]] = np.asarray(value).astype(dtype)
    return batch


def _filled(shape: Any, batch_size: int) -> tuple[int, ...]:
    free = _FREE_SIZES.get(len(shape), _FREE_SIZE)
    return tuple((batch_size if axis == 0 else free) if size is None else size for axis, size in enumerate(shape))


def _is_distribution(graph: Graph, tensor: Tensor) -> bool:
    """Whether rows must add up to one: the labels of a softmax cross entropy, smoothed or masked on the way."""
    shape = graph.shape(tensor) or ()
    if len(shape) < 2 or shape[-1] is None:
        return False
    stack, seen = [tensor.node], set()
    while stack:
        name = stack.pop()
        if name in seen:
            continue
        seen.add(name)
        for user in graph.consumers[name]:
            node = graph[user]
            if node.op == "SoftmaxCrossEntropyWithLogits" and node.inputs[1].node == name:
                return (graph.shape(node.inputs[1]) or shape)[-1] in (None, shape[-1])
            if node.op in _PASSED or node.op in _SCALED:
                stack.append(user)
    return False


def label_range(graph: Graph, tensor: Tensor) -> int:
    """How many values an integer input may take: the depth, classes or rows of the first op that says so; else 2."""
    stack, seen = [tensor.node], set()
    while stack:
        name = stack.pop()
        if name in seen:
            continue
        seen.add(name)
        for user in graph.consumers[name]:
            node = graph[user]
            size = None
            if node.op == "OneHot" and node.inputs[0].node == name:
                depth = graph.constant(node.inputs[1])
                size = int(depth) if depth is not None else None
            elif node.op == "SparseSoftmaxCrossEntropyWithLogits" and node.inputs[1].node == name:
                size = (graph.shape(node.inputs[0]) or (None,))[-1]
            elif node.op in ("Gather", "GatherV2", "ResourceGather") and node.inputs[1].node == name:
                source = graph[node.inputs[0].node]
                size = (source.weight_shape() or graph.shape(node.inputs[0]) or (None,))[0]
            elif node.op in _PASSED and node.inputs[0].node == name:
                stack.append(user)
            if size:
                return size
    return 2
