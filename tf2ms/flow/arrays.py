"""TensorArray as TensorList: the flow of a TensorArray is the list itself, its handle says nothing more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from tf2ms.flow.bodies import map_bodies, substituted
from tf2ms.graph import Graph, Tensor

_FORMS: Mapping[str, tuple[str, Callable[..., tuple[Tensor, ...]]]] = {
    "TensorArrayReadV3": ("TensorListGetItem", lambda handle, index, flow: (flow, index)),
    "TensorArrayWriteV3": ("TensorListSetItem", lambda handle, index, value, flow: (flow, index, value)),
    "TensorArrayGatherV3": ("TensorListGather", lambda handle, indices, flow: (flow, indices)),
    "TensorArrayScatterV3": (
        "TensorListScatterIntoExistingList",
        lambda handle, indices, value, flow: (flow, value, indices),
    ),
    "TensorArrayConcatV3": ("TensorListConcatV2", lambda handle, flow: (flow,)),
    "TensorArraySplitV3": ("TensorListSplit", lambda handle, value, lengths, flow: (value, lengths)),
    "TensorArraySizeV3": ("TensorListLength", lambda handle, flow: (flow,)),
}


def arrays_as_lists(graph: Graph, ends: Sequence[Tensor]) -> Graph:
    """The graph, its bodies too, with TensorList ops in place of those of TensorArray."""
    if any(node.op == "TensorArrayV3" for node in graph) or any(node.bodies for node in graph):
        graph = map_bodies(graph, _with_lists)
        graph = _with_lists(graph, ends)
    return graph


def _with_lists(graph: Graph, ends: Sequence[Tensor]) -> Graph:
    nodes = dict(graph.nodes)
    flows: dict[Tensor, Tensor] = {}
    for node in graph:
        if node.op == "TensorArrayV3":
            attrs = {"element_dtype": node.attr("dtype"), "element_shape": node.attr("element_shape")}
            nodes[node.name] = replace(node, op="TensorListReserve", attrs=attrs, shapes=((), ()))
            flows[Tensor(node.name, 1)] = Tensor(node.name)
        elif node.op in _FORMS:
            op, inputs = _FORMS[node.op]
            attrs = {"element_dtype": node.attr("dtype") or node.attr("T"), "element_shape": node.attr("element_shape")}
            nodes[node.name] = replace(node, op=op, inputs=inputs(*node.inputs), attrs=attrs)
    return substituted(Graph(nodes, graph.aliases), flows, ends)
