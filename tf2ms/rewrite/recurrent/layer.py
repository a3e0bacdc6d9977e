"""Nodes that are recurrent layers, and what is read of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tf2ms.graph import Graph, Node, Shape, Tensor
from tf2ms.rewrite.recurrent.types import Recurrent

KINDS = ("LSTM", "GRU", "RNN")


def layer_node(
    name: str,
    layers: Sequence[Recurrent],
    data: Tensor,
    shape: Shape,
    *,
    batch_first: bool,
    initial: Sequence[Tensor] = (),
    lengths: Tensor | None = None,
    origins: Sequence[str] = (),
) -> Node:
    """A layer over `data` of that shape; `layers` are its one direction, or forward and backward.

    It reads the data, its initial states (hidden, then cell; each forward, then backward), the lengths and its
    variables. Its outputs are the sequence, the last hidden state and cell; those have an axis of directions first.
    """
    variables = dict.fromkeys(source.variable for layer in layers for source in layer.weights.values())
    sizes = shape or (None, None, None)
    units = layers[0].units
    last = (len(layers), sizes[0 if batch_first else 1], units)
    attrs = {
        "layers": tuple(layers),
        "batch_first": batch_first,
        "states": len(initial),
        "lengths": lengths is not None,
    }
    return Node(
        name,
        layers[0].kind,
        (data, *initial, *((lengths,) if lengths is not None else ()), *variables),
        attrs=attrs,
        shapes=((*sizes[:2], units * len(layers)), *[last] * (1 + (layers[0].kind == "LSTM"))),
        origins=(name, *origins),
    )


def initial_states(graph: Graph, states: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The states that a layer begins with; none where they are all zeros, which is what it begins with by itself."""
    return () if all(is_zero(graph, tensor) for tensor in states) else tuple(states)


def plain(node: Node, op: str, inputs: tuple[Tensor, ...], attrs: Mapping[str, Any]) -> Node:
    """The node as another op."""
    return Node(node.name, op, inputs, attrs=attrs, shapes=node.shapes, origins=node.origins or (node.name,))


def free_name(name: str, graph: Graph) -> str:
    """The name, numbered where the graph has a node of that name."""
    free, number = name, 1
    while free in graph:
        free, number = f"{name}_{number}", number + 1
    return free


def is_zero(graph: Graph, tensor: Tensor) -> bool:
    """Whether the tensor is of zeros, whatever its shape."""
    value, node = graph.constant(tensor), graph[tensor.node]
    if value is not None:
        return not value.any()
    if node.op == "Fill":
        return is_zero(graph, node.inputs[1])
    if node.op in ("ExpandDims", "Tile", "BroadcastTo", "Reshape"):
        return is_zero(graph, node.inputs[0])
    return node.op == "ZerosLike"


def exchanges(graph: Graph, node: Node) -> bool:
    """Whether the node exchanges the first two of three axes."""
    perm = graph.constant(node.inputs[1]) if node.op == "Transpose" and len(node.inputs) == 2 else None
    return perm is not None and perm.tolist() == [1, 0, 2]


def batch_first(graph: Graph, data: Tensor) -> Tensor | None:
    """What `data` is with time and batch exchanged, if it was made so."""
    node = graph[data.node]
    return node.inputs[0] if exchanges(graph, node) else None
