"""Graph -> Layout: which tensors become channels-first, so that the fewest transposes remain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import networkx as nx
from networkx.utils.union_find import UnionFind

from tf2ms.errors import GraphError
from tf2ms.flow.bodies import replaced_inputs
from tf2ms.graph import Graph, Node, Tensor
from tf2ms.graph.types import PLACEHOLDER_OPS
from tf2ms.layout.transposes import merge_transposes
from tf2ms.layout.types import (
    Layout,
    LayoutRule,
    Need,
    any_order,
    channels_first_perm,
    channels_last_perm,
    channels_of,
    keeps_order,
)

__all__ = [
    "Layout",
    "LayoutRule",
    "Need",
    "any_order",
    "assign_layout",
    "channels_first_perm",
    "channels_last_perm",
    "channels_of",
    "keeps_order",
]

TRANSPOSE = "Transpose"


def assign_layout(
    graph: Graph, rule_of: Callable[[str], LayoutRule], outputs: tuple[Tensor, ...], keep_nhwc: bool = False
) -> Layout:
    """Chooses channels-first or the original order for every tensor so that the fewest transposes remain.

    Ports that must be alike are one vertex. A region of vertices joined by tensors that all want the same gets it; a
    region with conflicting wishes is cut where the fewest tensors cross (a minimum cut), and there the transposes go.
    Linear where no region conflicts, which is the usual case.

    Args:
        graph: the rewritten graph.
        rule_of: what the rule of an op type says of its tensors.
        outputs: the tensors the network returns; like its inputs they may take either order, unless `keep_nhwc`.
        keep_nhwc: inputs and outputs stay as TensorFlow has them.

    Raises: GraphError if a rule asks for channels of a tensor of unknown rank.
    """
    needs, features = _needs(graph, rule_of, keep_nhwc)
    groups, wishes = _groups(graph, needs)
    joined: nx.Graph[Any] = nx.Graph()
    joined.add_nodes_from(groups.values())

    def join(tensor: Tensor, reader: object) -> None:
        """One more reader of the tensor: a transpose between them costs one, and is impossible below rank 3."""
        maker = groups[_out(tensor)]
        cost = 1.0 if len(graph.shape(tensor) or ()) >= 3 else float("inf")
        if maker != reader:
            joined.add_edge(
                maker, reader, capacity=joined.get_edge_data(maker, reader, {"capacity": 0})["capacity"] + cost
            )

    for node in graph:
        for index, tensor in enumerate(node.inputs):
            if (reader := groups.get((node.name, "in", index))) is not None:
                join(tensor, reader)
    for tensor in outputs:
        if keep_nhwc or len(graph.shape(tensor) or ()) < 3:  # the map can only say how axes are transposed
            wishes[_output(tensor)] = False
            join(tensor, _output(tensor))
    fixed = {tensor for tensor in outputs if _output(tensor) in wishes}
    first: set[object] = set()
    for region in nx.connected_components(joined):
        wanted = {wishes[group] for group in region if group in wishes}
        if wanted == {True}:
            first |= region
        elif len(wanted) == 2:
            first |= _minimum_cut(joined.subgraph(region), wishes)
    layout = _materialise(graph, groups, first, features, outputs, fixed)
    inside = {node.name: node.bodies for node in layout.graph if node.bodies}
    bodies = {
        name: tuple(assign_layout(body.graph, rule_of, body.outputs, keep_nhwc=True) for body in own)
        for name, own in inside.items()
    }
    return replace(layout, bodies=bodies)


def _needs(
    graph: Graph, rule_of: Callable[[str], LayoutRule], keep_nhwc: bool
) -> tuple[dict[str, Need], dict[Tensor, tuple[int, ...]]]:
    """(each node's need; for what comes of a flatten, the (height, width, channels) of its features).

    Element by element, features of one origin stay alike; those of two origins have no common other order.
    """
    needs: dict[str, Need] = {}
    features: dict[Tensor, tuple[int, ...]] = {}
    for name in graph.order(graph.nodes):
        node = graph[name]
        need = _need(node, graph, rule_of, keep_nhwc)
        rank, source = len(node.shape() or ()), (graph.shape(node.inputs[0]) or ()) if node.inputs else ()
        if need.tied and node.op == "Reshape" and len(source) > rank:
            features[Tensor(name)] = tuple(size or 0 for size in source[1:])
        elif need.tied and rank < 3:
            origins = {features.get(node.inputs[index]) for kind, index in need.tied if kind == "in"}
            origin = origins.pop() if len(origins) == 1 else None
            if origin is None:
                need = Need(original=need.tied)
            else:
                features.update({Tensor(name, index): origin for kind, index in need.tied if kind == "out"})
        needs[name] = need
    return needs, features


def _need(node: Node, graph: Graph, rule_of: Callable[[str], LayoutRule], keep_nhwc: bool) -> Need:
    if node.op in PLACEHOLDER_OPS:
        ranks = [len(node.shape(index) or ()) for index in range(max(1, len(node.shapes)))]
        return Need(original=tuple(("out", index) for index, rank in enumerate(ranks) if keep_nhwc or rank < 3))
    if node.is_weight():
        return Need()
    return rule_of(node.op)(node, graph)


def _out(tensor: Tensor) -> tuple[str, str, int]:
    return (tensor.node, "out", tensor.index)


def _output(tensor: Tensor) -> tuple[str, str, int]:
    """The vertex of whoever takes the network's output."""
    return (tensor.node, "output", tensor.index)


def _groups(graph: Graph, needs: Mapping[str, Need]) -> tuple[dict[tuple[str, str, int], object], dict[object, bool]]:
    """(the vertex of each port, what pinned vertices want: True for channels-first)."""
    union: UnionFind[Any] = UnionFind()
    pins: list[tuple[tuple[str, str, int], bool]] = []
    for node in graph:
        for index in range(max(1, len(node.shapes))):
            union[(node.name, "out", index)]
        need = needs[node.name]
        for wants, listed in ((True, need.channels), (False, need.original)):
            pins += [((node.name, *port), wants) for port in listed]
        if need.tied:
            union.union(*((node.name, *port) for port in need.tied))
        for tensor in node.inputs:
            union[_out(tensor)]
    for port, _ in pins:
        union[port]
    groups = {port: union[port] for port in list(union)}
    return groups, {groups[port]: wants for port, wants in pins}


def _minimum_cut(region: nx.Graph, wishes: Mapping[object, bool]) -> set[object]:
    """The vertices of the region that become channels-first."""
    flow: nx.DiGraph[Any] = nx.DiGraph(region)
    for vertex in region:
        if vertex in wishes:
            ends = ("first", vertex) if wishes[vertex] else (vertex, "original")
            flow.add_edge(*ends)  # without a capacity: never cut
    try:
        _, (side, _) = nx.minimum_cut(flow, "first", "original")
    except nx.NetworkXUnbounded:
        raise GraphError(
            "channels are asked for of a tensor of unknown rank; give the inputs' shapes with --shape"
        ) from None
    return set(side) - {"first"}


def _materialise(
    graph: Graph,
    groups: Mapping[tuple[str, str, int], object],
    first: set[object],
    features: Mapping[Tensor, tuple[int, ...]],
    outputs: tuple[Tensor, ...],
    fixed: set[Tensor],
) -> Layout:
    """Puts in the transposes and works out the order of every tensor."""
    nodes: dict[str, Node] = {}
    channels: set[Tensor] = set()
    for name in graph.order(graph.nodes):
        node = graph[name]
        inputs = list(node.inputs)
        for index, tensor in enumerate(node.inputs):
            group = groups.get((name, "in", index))
            if group is not None and (group in first) != (tensor in channels):
                inputs[index] = _transposed(graph, nodes, channels, tensor, to_first=group in first)
        nodes[name] = replaced_inputs(node, dict(zip(node.inputs, inputs, strict=True)), nodes)
        for index in range(max(1, len(node.shapes))):
            if groups[(name, "out", index)] in first:
                channels.add(Tensor(name, index))
    given_back = tuple(
        _transposed(graph, nodes, channels, tensor, to_first=False)
        if tensor in channels and tensor in fixed
        else tensor
        for tensor in outputs
    )
    flattened = {tensor: origin for tensor, origin in features.items() if tensor in channels}
    return Layout(merge_transposes(Graph(nodes, graph.aliases)), given_back, frozenset(channels), flattened)


def _transposed(graph: Graph, nodes: dict[str, Node], channels: set[Tensor], tensor: Tensor, to_first: bool) -> Tensor:
    """`tensor` in the other order, through one transpose however many readers want it."""
    name = f"{tensor.node}/{'nchw' if to_first else 'nhwc'}" + (f"_{tensor.index}" if tensor.index else "")
    if name not in nodes:
        shape = graph.shape(tensor)
        if shape is None:
            raise GraphError(
                f"the rank of '{tensor}' is unknown, so its layout cannot be changed; give it with --shape"
            )
        perm = channels_first_perm(len(shape)) if to_first else channels_last_perm(len(shape))
        nodes[name] = Node(name, TRANSPOSE, (tensor,), (), {"perm": perm}, (shape,), ())
        if to_first:
            channels.add(Tensor(name))
    return Tensor(name)
