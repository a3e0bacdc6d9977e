"""Branches without effects, such as those of a learning rate, as a choice between two values."""

from __future__ import annotations

from dataclasses import replace

from tf2ms.flow.bodies import CAPTURED, replaced_inputs
from tf2ms.graph import Graph, Node, Tensor


def branches_as_choices(graph: Graph) -> Graph:
    """The graph with the nodes of both branches of every If in it, and a SelectV2 for each of its outputs.

    Where the choice is known, it is the value that is chosen.
    """
    while found := next((node for node in graph if node.op == "If" and len(node.bodies) == 2), None):
        graph = _chosen(graph, found)
    return graph


def _known(graph: Graph, tensor: Tensor) -> bool | None:
    """Whether two constants are equal, if that is what the tensor says."""
    node = graph[tensor.node]
    values = [graph.constant(source) for source in node.inputs] if node.op == "Equal" else []
    left, right = values if len(values) == 2 else (None, None)
    return None if left is None or right is None or left.size != 1 else bool(left == right)


def _chosen(graph: Graph, node: Node) -> Graph:
    then, other = node.bodies
    nodes = {name: own for name, own in graph.nodes.items() if name != node.name}
    for body in (then, other):
        nodes.update((name, own) for name, own in body.graph.nodes.items() if name not in nodes and own.op != CAPTURED)
    numbers = node.attr("outputs") or range(len(then.outputs))
    known = _known(graph, node.inputs[0])
    places: dict[Tensor, Tensor] = {}
    for number, first, second in zip(numbers, then.outputs, other.outputs, strict=True):
        name = node.name if number == 0 else f"{node.name}/choice_{number}"
        op = "SelectV2" if known is None else "Identity"
        inputs = (node.inputs[0], first, second) if known is None else (first if known else second,)
        shapes = (node.shape(number),)
        nodes[name] = replace(node, name=name, op=op, inputs=inputs, attrs={"T": "float32"}, bodies=(), shapes=shapes)
        places[Tensor(node.name, number)] = Tensor(name)
    moved = {name: replaced_inputs(own, lambda t: places.get(t, t), nodes) for name, own in nodes.items()}
    return Graph(moved, graph.aliases)
