"""Transposes that follow one another become one, or none."""

from __future__ import annotations

from dataclasses import replace

from tf2ms.graph import Graph, Node


def merge_transposes(graph: Graph) -> Graph:
    """The graph in which no transpose of known axes reads another one; what nothing reads any more stays."""
    nodes = dict(graph.nodes)
    for name in graph.order(nodes):
        perm = _perm(graph, nodes[name])
        inner = nodes[nodes[name].inputs[0].node] if perm is not None else None
        first = _perm(graph, inner) if inner is not None else None
        if perm is None or inner is None or first is None or len(first) != len(perm):
            continue
        both = tuple(first[axis] for axis in perm)
        moves = both != tuple(range(len(both)))
        nodes[name] = replace(
            nodes[name],
            op="Transpose" if moves else "Identity",
            inputs=inner.inputs[:1],
            attrs={**nodes[name].attrs, "perm": both},
            origins=nodes[name].origins + inner.origins,
        )
    return Graph(nodes, graph.aliases)


def _perm(graph: Graph, node: Node) -> tuple[int, ...] | None:
    """The axes of a plain transpose if they are known: the layout stage's are an attribute, TensorFlow's an input."""
    if node.op != "Transpose":
        return None
    perm = node.attr("perm")
    if perm is None and len(node.inputs) == 2:
        perm = graph.constant(node.inputs[1])
    return None if perm is None else tuple(int(axis) for axis in perm)
