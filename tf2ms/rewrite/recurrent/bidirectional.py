"""Two layers over one tensor, the second from its end, as one layer that goes both ways."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

import numpy as np

from tf2ms.flow.bodies import substituted
from tf2ms.graph import Graph, Node, Tensor
from tf2ms.rewrite.recurrent.layer import KINDS, exchanges, free_name, layer_node


@dataclass(frozen=True)
class _Reversed:
    """What a layer from the end reads, in its own order: the tensor, the lengths of its sequences, and how it lies."""

    data: Tensor
    lengths: Tensor | None
    batch_first: bool


def both_ways(graph: Graph, ends: Sequence[Tensor]) -> Graph:
    """The graph with each pair of a layer and its like from the end as one layer."""
    for name in [node.name for node in graph if node.op in KINDS]:
        if name not in graph:
            continue
        backward = graph[name]
        read = _read(graph, backward)
        if read is None:
            continue
        graph = _lying(graph, backward, read, ends)
        backward = graph[name]
        forward = next((node for node in graph if _pairs(graph, node, backward, read)), None)
        if forward is not None:
            graph = _joined(graph, forward, backward, read, ends)
    return graph


def _read(graph: Graph, layer: Node) -> _Reversed | None:
    """What the layer reads if it goes from the end of each sequence to its beginning."""
    node, by_batch = graph[layer.inputs[0].node], bool(layer.attr("batch_first"))
    time, batch = (1, 0) if by_batch else (0, 1)
    lengths = _lengths(layer)
    if node.op == "ReverseSequence" and (node.attr("seq_dim"), node.attr("batch_dim", 0)) == (time, batch):
        return _Reversed(node.inputs[0], lengths, by_batch) if node.inputs[1] == lengths else None
    if lengths is not None or not _reverses(graph, node, time):
        return None
    data = node.inputs[0]
    if not by_batch and exchanges(graph, graph[data.node]):
        return _Reversed(graph[data.node].inputs[0], None, True)
    return _Reversed(data, None, by_batch)


def _lengths(layer: Node) -> Tensor | None:
    return layer.inputs[1 + layer.attr("states")] if layer.attr("lengths") else None


def _reverses(graph: Graph, node: Node, axis: int) -> bool:
    axes = graph.constant(node.inputs[1]) if node.op == "ReverseV2" else None
    return axes is not None and [int(a) % 3 for a in np.atleast_1d(axes)] == [axis]


def _pairs(graph: Graph, node: Node, backward: Node, read: _Reversed) -> bool:
    """Whether `node` is the same kind of layer over the same tensor from its beginning."""
    if node.op != backward.op or node.name == backward.name or len(node.attr("layers")) > 1:
        return False
    (own,), (other,) = node.attr("layers"), backward.attr("layers")
    alike = (own.inputs, own.units, own.relu, own.weights.keys()) == (
        other.inputs, other.units, other.relu, other.weights.keys()
    )  # fmt: skip
    return (
        alike
        and (node.inputs[0], _lengths(node), node.attr("batch_first")) == (read.data, read.lengths, read.batch_first)
        and node.attr("states") == backward.attr("states")
    )


def _lying(graph: Graph, layer: Node, read: _Reversed, ends: Sequence[Tensor]) -> Graph:
    """The layer reading the tensor as it lies, where it read it transposed; so then is what it makes."""
    if layer.attr("batch_first") == read.batch_first:
        return graph
    sequence = Tensor(layer.name)
    users = [graph[name] for name in graph.consumers[layer.name] if sequence in graph[name].inputs]
    if sequence in ends or not all(exchanges(graph, user) for user in users):
        return graph
    axes = Node(f"{layer.name}/axes", "Const", attrs={"value": np.array([1], np.int32)}, shapes=((1,),))
    turned = Node(
        f"{layer.name}/reversed", "ReverseV2", (read.data, Tensor(axes.name)), (), {"T": "float32", "Tidx": "int32"},
        (graph.shape(read.data),), (f"{layer.name}/reversed",),
    )  # fmt: skip
    shape = layer.shape()
    shapes = ((shape[1], shape[0], shape[2]) if shape else None, *layer.shapes[1:])
    changed = replace(
        layer,
        inputs=(Tensor(turned.name), *layer.inputs[1:]),
        attrs={**layer.attrs, "batch_first": True},
        shapes=shapes,
    )
    nodes = {**graph.nodes, axes.name: axes, turned.name: turned, layer.name: changed}
    stand_ins = {Tensor(user.name): sequence for user in users}
    return _needed(substituted(Graph(nodes, graph.aliases), stand_ins, ends), ends)


def _joined(graph: Graph, forward: Node, backward: Node, read: _Reversed, ends: Sequence[Tensor]) -> Graph:
    """The graph with both layers as one; as it was where an output of theirs is the graph's own."""
    if any(tensor.node in (forward.name, backward.name) for tensor in ends):
        return graph
    count = forward.attr("states")
    initial = [tensor for index in range(1, 1 + count) for tensor in (forward.inputs[index], backward.inputs[index])]
    pairs = zip(forward.name.split("/")[:-1], backward.name.split("/")[:-1], strict=False)
    scope = [part for part, _ in takewhile(lambda pair: pair[0] == pair[1], pairs)]
    made = layer_node(
        free_name("/".join((*scope, forward.op)), graph),
        (*forward.attr("layers"), *backward.attr("layers")),
        read.data,
        graph.shape(read.data),
        batch_first=read.batch_first,
        initial=initial,
        lengths=read.lengths,
        origins=(forward.name, backward.name),
    )
    nodes = {**graph.nodes, made.name: made}
    stand_ins: dict[Tensor, Tensor] = {}
    for direction, layer in enumerate((forward, backward)):
        for state in _states(graph, layer):
            attrs = {"direction": direction}
            nodes[state.name] = replace(state, op="LastState", inputs=(Tensor(made.name, state.inputs[0].index),))
            nodes[state.name] = replace(nodes[state.name], attrs=attrs)
    turned = {Tensor(node.name) for node in _turned_back(graph, backward, read)}
    ways = {Tensor(forward.name)}, turned
    for concat in _concats(graph, ways):
        stand_ins[Tensor(concat.name)] = Tensor(made.name)
    ways_left = _parted(graph, forward, backward, turned, stand_ins)
    if ways_left:
        nodes.update(_split(made, read))
        parts = f"{made.name}/ways"
        stand_ins[Tensor(forward.name)] = Tensor(parts)
        stand_ins.update((tensor, Tensor(parts, 1)) for tensor in turned)
        stand_ins[Tensor(backward.name)] = Tensor(f"{made.name}/from_the_end")
    return _needed(substituted(Graph(nodes, graph.aliases), stand_ins, ends), ends)


def _states(graph: Graph, layer: Node) -> Iterator[Node]:
    """What takes the layer's last states out of their axis of directions."""
    for name in graph.consumers[layer.name]:
        if graph[name].op == "Squeeze" and graph[name].inputs[0].index:
            yield graph[name]


def _turned_back(graph: Graph, backward: Node, read: _Reversed) -> Iterator[Node]:
    """What puts the sequence from the end in order again."""
    time, batch = (1, 0) if read.batch_first else (0, 1)
    for name in graph.consumers[backward.name]:
        node = graph[name]
        if node.inputs[0] != Tensor(backward.name):
            continue
        if node.op == "ReverseSequence":
            if (node.attr("seq_dim"), node.attr("batch_dim", 0), node.inputs[1]) == (time, batch, read.lengths):
                yield node
        elif read.lengths is None and _reverses(graph, node, time):
            yield node


def _concats(graph: Graph, ways: tuple[set[Tensor], set[Tensor]]) -> Iterator[Node]:
    """What joins both sequences as the layer does."""
    for tensor in ways[0]:
        for name in graph.consumers[tensor.node]:
            node = graph[name]
            axis = graph.constant(node.inputs[-1]) if node.op == "ConcatV2" and len(node.inputs) == 3 else None
            if axis is not None and int(axis) in (2, -1) and node.inputs[0] in ways[0] and node.inputs[1] in ways[1]:
                yield node


def _parted(graph: Graph, forward: Node, backward: Node, turned: set[Tensor], joined: dict[Tensor, Tensor]) -> bool:
    """Whether one of the two sequences is read by itself."""
    known = {tensor.node for tensor in (*turned, *joined)}
    for tensor in (Tensor(forward.name), Tensor(backward.name), *turned):
        for name in graph.consumers[tensor.node]:
            if tensor in graph[name].inputs and name not in known:
                return True
    return False


def _split(made: Node, read: _Reversed) -> dict[str, Node]:
    """The two sequences by themselves, the second also from the end."""
    shape = made.shape() or (None, None, None)
    one = (*shape[:2], made.attr("layers")[0].units)
    name = f"{made.name}/ways"
    axis = Node(f"{name}/axis", "Const", attrs={"value": np.array(2, np.int32)}, shapes=((),))
    ways = Node(name, "Split", (Tensor(axis.name), Tensor(made.name)), (), {"num_split": 2, "T": "float32"}, (one, one))
    time, batch = (1, 0) if read.batch_first else (0, 1)
    end = f"{made.name}/from_the_end"
    nodes = [axis, ways]
    attrs: dict[str, Any]
    if read.lengths is None:
        axes = Node(f"{end}/axes", "Const", attrs={"value": np.array([time], np.int32)}, shapes=((1,),))
        attrs = {"T": "float32", "Tidx": "int32"}
        nodes += [axes, Node(end, "ReverseV2", (Tensor(name, 1), Tensor(axes.name)), (), attrs, (one,), (end,))]
    else:
        attrs = {"T": "float32", "Tlen": "int32", "seq_dim": time, "batch_dim": batch}
        nodes.append(Node(end, "ReverseSequence", (Tensor(name, 1), read.lengths), (), attrs, (one,), (end,)))
    return {node.name: replace(node, origins=node.origins or (node.name,)) for node in nodes}


def _needed(graph: Graph, ends: Sequence[Tensor]) -> Graph:
    return Graph({name: graph[name] for name in graph.order([tensor.node for tensor in ends])}, graph.aliases)
