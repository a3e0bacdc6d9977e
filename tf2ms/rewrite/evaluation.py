"""What a small graph computes, on numbers in place of its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tf2ms.graph import Graph, Node, Tensor

MAX_NODES = 200
"""A round of a recurrent layer is smaller than this."""


class Unknown(Exception):
    """The graph does something that is not evaluated here."""


class Evaluator:
    """Evaluates tensors of a body and of the graph around it, in float64.

    Floating constants of one axis or more and variables are weights: each gets random values, kept in `weights`.
    Single numbers and integers keep their values; the former are kept in `numbers`. Nodes that are not `inside` are
    unknown.
    """

    def __init__(
        self,
        body: Graph,
        outer: Graph,
        random: np.random.Generator,
        inside: Callable[[str], bool] = lambda name: True,
    ):
        self._graphs = (body, outer)
        self._random = random
        self._inside = inside
        self._unknown: set[Tensor] = set()
        self._known: dict[Tensor, Any] = {}
        self._left = MAX_NODES
        self.weights: dict[Tensor, np.ndarray] = {}
        self.numbers: set[float] = set()

    def give(self, values: Mapping[Tensor, np.ndarray]) -> None:
        """The values of some tensors."""
        self._known.update(values)

    def __call__(self, tensor: Tensor) -> np.ndarray:
        """The tensor's value. Raises Unknown."""
        if tensor not in self._known:
            self._left -= 1
            if self._left < 0 or tensor in self._unknown or not self._inside(tensor.node):
                raise Unknown
            self._unknown.add(tensor)
            results = self._node(self._find(tensor))
            self._unknown.discard(tensor)
            self._known.update({Tensor(tensor.node, index): value for index, value in enumerate(results)})
        if tensor not in self._known:
            raise Unknown
        value: np.ndarray = self._known[tensor]
        return value

    def equal_to(self, value: np.ndarray) -> frozenset[Tensor]:
        """The tensors evaluated so far that have this value."""
        alike = (tensor for tensor, known in self._known.items() if np.shape(known) == value.shape)
        return frozenset(tensor for tensor in alike if np.allclose(self._known[tensor], value, rtol=0, atol=1e-9))

    def _find(self, tensor: Tensor) -> Node:
        for graph in self._graphs:
            if tensor.node in graph and graph[tensor.node].op not in ("Captured", "Carried"):
                return graph[tensor.node]
        raise Unknown

    def _node(self, node: Node) -> list[Any]:
        if node.is_weight():
            return [self._weight(node)]
        if node.op in ("Fill", "ZerosLike"):  # a number for whatever shape
            return [np.asarray(self(node.inputs[1]) if node.op == "Fill" else 0.0)]
        if node.op not in _FORMS:
            raise Unknown
        try:
            result = _FORMS[node.op](node, *map(self, node.inputs))
        except (ValueError, TypeError, IndexError):
            raise Unknown from None
        return result if isinstance(result, list) else [result]

    def _weight(self, node: Node) -> np.ndarray:
        value, shape = node.attr("value") if node.op.startswith("Const") else None, node.weight_shape()
        if value is not None and (value.dtype.kind not in "f" or value.ndim == 0):
            if value.dtype.kind == "f":
                self.numbers.add(float(value))
            return np.asarray(value)
        if shape is None or len(shape) > 2:
            raise Unknown
        drawn = self._random.normal(size=shape)
        self.weights[Tensor(node.name)] = drawn
        return drawn


def _matmul(node: Node, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a.T if node.attr("transpose_a") else a) @ (b.T if node.attr("transpose_b") else b)


def _slice(node: Node, x: np.ndarray, begin: np.ndarray, end: np.ndarray, stride: np.ndarray) -> np.ndarray:
    if node.attr("ellipsis_mask") or node.attr("new_axis_mask"):
        raise Unknown
    index: list[Any] = []
    for axis, (first, last, step) in enumerate(zip(begin, end, stride, strict=True)):
        if node.attr("shrink_axis_mask", 0) >> axis & 1:
            index.append(int(first))
            continue
        start = None if node.attr("begin_mask", 0) >> axis & 1 else int(first)
        index.append(slice(start, None if node.attr("end_mask", 0) >> axis & 1 else int(last), int(step)))
    return x[tuple(index)]


def _split(node: Node, axis: np.ndarray, x: np.ndarray) -> list[np.ndarray]:
    return list(np.split(x, int(node.attr("num_split")), int(axis)))


def _split_sizes(node: Node, x: np.ndarray, sizes: np.ndarray, axis: np.ndarray) -> list[np.ndarray]:
    return list(np.split(x, np.cumsum(sizes)[:-1], int(axis)))


def _unpack(node: Node, x: np.ndarray) -> list[np.ndarray]:
    axis = int(node.attr("axis", 0))
    return [np.take(x, index, axis) for index in range(x.shape[axis])]


def _squeeze(node: Node, x: np.ndarray) -> np.ndarray:
    return np.squeeze(x, tuple(node.attr("squeeze_dims") or ()) or None)


def _select(node: Node, condition: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """tf.where of TensorFlow 1 chooses rows by a vector."""
    if node.op == "Select" and condition.ndim == 1 and max(a.ndim, b.ndim) > 1:
        condition = condition.reshape(-1, *[1] * (max(a.ndim, b.ndim) - 1))
    return np.where(condition, a, b)


_FORMS: Mapping[str, Callable[..., Any]] = {
    "MatMul": _matmul,
    "BiasAdd": lambda node, x, bias: x + bias,
    "Add": lambda node, a, b: a + b,
    "AddV2": lambda node, a, b: a + b,
    "Sub": lambda node, a, b: a - b,
    "Mul": lambda node, a, b: a * b,
    "Neg": lambda node, x: -x,
    "AddN": lambda node, *items: sum(items),
    "Sigmoid": lambda node, x: 1 / (1 + np.exp(-x)),
    "Tanh": lambda node, x: np.tanh(x),
    "Relu": lambda node, x: np.maximum(x, 0),
    "ConcatV2": lambda node, *items: np.concatenate(items[:-1], int(items[-1])),
    "Split": _split,
    "SplitV": _split_sizes,
    "Unpack": _unpack,
    "Squeeze": _squeeze,
    "Reshape": lambda node, x, shape: np.reshape(x, shape),
    "ExpandDims": lambda node, x, axis: np.expand_dims(x, int(axis)),
    "StridedSlice": _slice,
    "Identity": lambda node, x: x,
    "Select": _select,
    "SelectV2": _select,
    "GreaterEqual": lambda node, a, b: a >= b,
    "Greater": lambda node, a, b: a > b,
    "Less": lambda node, a, b: a < b,
    "LessEqual": lambda node, a, b: a <= b,
    "LogicalNot": lambda node, x: np.logical_not(x),
    "Tile": lambda node, x, times: np.tile(x, times),
    "Cast": lambda node, x: x,
}
"""One step of what recurrent layers are made of."""
