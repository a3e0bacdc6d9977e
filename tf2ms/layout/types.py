"""What a rule says of its tensors' order, and what the layout stage decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from tf2ms.graph import Graph, Node, Shape, Tensor

Port = tuple[Literal["in", "out"], int]
"""An input or output of a node, by number."""


@dataclass(frozen=True)
class Need:
    """What one node needs: `channels` ports must be channels-first, `original` ports as in TensorFlow, and the
    `tied` ports all alike, one way or the other. A port in none of them is free."""

    channels: tuple[Port, ...] = ()
    original: tuple[Port, ...] = ()
    tied: tuple[Port, ...] = ()


LayoutRule = Callable[[Node, Graph], Need]


@dataclass(frozen=True)
class Layout:
    """The graph with transposes where none could be avoided, and the order of every tensor.

    `channels_first` holds the tensors whose axes are in MindSpore's order (NCHW for NHWC). `flattened` holds those
    among them that were flattened, [batch, features], with the (height, width, channels) that the features were
    made of: their features run channels first. `outputs` are the network's, transposed back where that was asked for.
    `bodies` are the layouts inside each node of control flow, by its name.
    """

    graph: Graph
    outputs: tuple[Tensor, ...]
    channels_first: frozenset[Tensor]
    flattened: Mapping[Tensor, tuple[int, ...]]
    bodies: Mapping[str, tuple[Layout, ...]] = field(default_factory=lambda: MappingProxyType({}))


def channels_first_perm(rank: int) -> tuple[int, ...]:
    """The transposition from channels last to channels first: (0, 3, 1, 2) for rank 4."""
    return (0, rank - 1, *range(1, rank - 1))


def channels_last_perm(rank: int) -> tuple[int, ...]:
    """The way back: (0, 2, 3, 1) for rank 4."""
    return (0, *range(2, rank), 1)


def ports(node: Node, graph: Graph) -> tuple[Port, ...]:
    """The ports that carry data (constants and variables follow their reader), outputs last."""
    data: list[Port] = [("in", i) for i, tensor in enumerate(node.inputs) if not graph[tensor.node].is_weight()]
    return (*data, *(("out", i) for i in range(max(1, len(node.shapes)))))


def channels_of(input: int = 0, output: int = 0) -> LayoutRule:
    """The op works on channels: that input and output are channels-first, unless the graph has them so already."""

    def need(node: Node, graph: Graph) -> Need:
        pair: tuple[Port, ...] = (("in", input), ("out", output))
        others = tuple(port for port in ports(node, graph) if port not in pair)
        flat = len(shape_of(node, graph, ("in", input)) or (None,) * 3) < 3
        if flat or str(node.attr("data_format", "NHWC")).startswith("NC"):
            return Need(original=(*pair, *others))
        return Need(channels=pair, original=others)

    return need


def any_order(node: Node, graph: Graph) -> Need:
    """Any order, the same for all: element by element. Tensors of lower rank broadcast, which binds the order."""
    every = ports(node, graph)
    ranks = {rank(graph, node, port) for port in every}
    return Need(tied=every) if len(ranks) == 1 and None not in ranks else Need(original=every)


def keeps_order(node: Node, graph: Graph) -> Need:
    """Every tensor stays as TensorFlow has it."""
    return Need(original=ports(node, graph))


def shape_of(node: Node, graph: Graph, port: Port) -> Shape:
    """Static shape of the tensor at a port."""
    kind, index = port
    return graph.shape(node.inputs[index]) if kind == "in" else node.shape(index)


def rank(graph: Graph, node: Node, port: Port) -> int | None:
    """Rank of the tensor at a port; scalars count as None: they fit any order."""
    shape = shape_of(node, graph, port)
    return None if shape is None else len(shape)
