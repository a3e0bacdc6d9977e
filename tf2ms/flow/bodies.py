"""Graphs inside graphs: what a body reads of the graph around it, and how it follows when that changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from tf2ms.graph import Body, Graph, Node, Tensor

CARRIED = "Carried"
"""A variable of the loop, as its condition and body read it."""

Place = Callable[[Tensor], Tensor] | Mapping[Tensor, Tensor]
"""What a tensor is replaced by; itself where a mapping does not say."""

CAPTURED = "Captured"
"""A tensor of the graph around a body."""


def outer_node(node: Node) -> Node:
    """How a body sees a node of the graph around it."""
    if node.is_weight() or node.op in (CARRIED, CAPTURED):
        return node
    return Node(node.name, CAPTURED, (), (), {}, node.shapes)


def reads(body: Body) -> Iterator[Tensor]:
    """Every tensor that the body's nodes and outputs read, its own included."""
    for name in body.graph.order(dict.fromkeys(tensor.node for tensor in body.outputs)):
        yield from body.graph[name].inputs
    yield from body.outputs


def captures(bodies: Sequence[Body], outer: Mapping[str, Node]) -> tuple[Tensor, ...]:
    """The tensors of the graph around the bodies that they read, each once."""
    found: dict[Tensor, None] = {}
    for body in bodies:
        leaves = {node.name for node in body.graph if node.is_weight() or node.op in (CARRIED, CAPTURED)} & outer.keys()
        found.update((tensor, None) for tensor in reads(body) if tensor.node in leaves and tensor not in body.inputs)
    return tuple(found)


def rebound(body: Body, place: Place, outer: Mapping[str, Node]) -> Body:
    """The body reading `place(t)` for each tensor t; what that names outside is looked up in `outer`."""
    if isinstance(place, Mapping):
        places = place
        return rebound(body, lambda tensor: places.get(tensor, tensor), outer)
    nodes = {}
    for name in body.graph.order(dict.fromkeys(tensor.node for tensor in body.outputs)):
        node = body.graph[name]
        if node.op != CAPTURED:
            nodes[name] = replaced_inputs(node, place, outer)
    nodes.update((tensor.node, body.graph[tensor.node]) for tensor in body.inputs if tensor.node in body.graph)
    outputs = tuple(place(tensor) for tensor in body.outputs)
    for tensor in (*outputs, *(tensor for node in list(nodes.values()) for tensor in node.inputs)):
        if tensor.node not in nodes:
            nodes[tensor.node] = outer_node(outer[tensor.node] if tensor.node in outer else body.graph[tensor.node])
    return Body(Graph(nodes), body.inputs, outputs)


def replaced_inputs(node: Node, place: Place, outer: Mapping[str, Node]) -> Node:
    """The node reading `place(t)` for each tensor t, in its bodies too."""
    if isinstance(place, Mapping):
        places = place
        return replaced_inputs(node, lambda tensor: places.get(tensor, tensor), outer)
    inputs = tuple(place(tensor) for tensor in node.inputs)
    if inputs == tuple(node.inputs):
        return node
    return replace(node, inputs=inputs, bodies=tuple(rebound(body, place, outer) for body in node.bodies))


def substituted(graph: Graph, stand_ins: Mapping[Tensor, Tensor], ends: Sequence[Tensor] = ()) -> Graph:
    """The graph with every reader of a tensor in `stand_ins` reading its stand-in; an end becomes an Identity of it."""
    if not stand_ins:
        return graph

    def place(tensor: Tensor) -> Tensor:
        while tensor in stand_ins:
            tensor = stand_ins[tensor]
        return tensor

    nodes = {node.name: replaced_inputs(node, place, graph.nodes) for node in graph}
    for tensor in ends:
        if tensor in stand_ins:
            old = graph[tensor.node]
            nodes[tensor.node] = Node(old.name, "Identity", (place(tensor),), (), {}, old.shapes[:1], old.origins)
    return Graph(nodes, graph.aliases)


def renamed(graph: Graph, outputs: Sequence[Tensor], prefix: str, bound: Mapping[Tensor, Tensor]) -> Body:
    """The part of `graph` that `outputs` need, its nodes under `prefix`; tensors in `bound` stand for others.

    What those others are must be put into the body's graph by the caller.
    """
    sources = {tensor.node for tensor in bound}
    kept = [name for name in graph.order(dict.fromkeys(tensor.node for tensor in outputs)) if name not in sources]
    names = {name: f"{prefix}/{name}" for name in kept}

    def place(tensor: Tensor) -> Tensor:
        return bound[tensor] if tensor in bound else Tensor(names.get(tensor.node, tensor.node), tensor.index)

    nodes = {}
    for name in kept:
        node = graph[name]
        inputs = tuple(place(tensor) for tensor in node.inputs)
        nodes[names[name]] = replace(node, name=names[name], inputs=inputs, control=(), origins=(names[name],))
    return Body(Graph(nodes), (), tuple(place(tensor) for tensor in outputs))


def map_bodies(graph: Graph, change: Callable[[Graph, Sequence[Tensor]], Graph]) -> Graph:
    """The graph with `change(graph, outputs)` applied to that of every body, the innermost first."""
    nodes = dict(graph.nodes)
    for node in graph:
        if node.bodies:
            bodies = []
            for body in node.bodies:
                inner = map_bodies(body.graph, change)
                bodies.append(replace(body, graph=change(inner, body.outputs)))
            nodes[node.name] = replace(node, bodies=tuple(bodies))
    return Graph(nodes, graph.aliases)
