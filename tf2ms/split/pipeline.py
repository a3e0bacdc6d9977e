"""Input pipelines inside the graph: cut where they deliver numbers, which become inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from tf2ms.graph import Graph, Node


def _listed(name: str) -> Callable[[Node], list[str]]:
    return lambda node: list(node.attr(name) or [])


def _single(name: str, default: str) -> Callable[[Node], list[str]]:
    return lambda node: [str(node.attr(name) or default)]


def _parsed(node: Node) -> list[str]:
    """Of sparse features indices, values and shapes, then the dense features."""
    sparse = list(node.attr("sparse_types") or [])
    return ["int64"] * len(sparse) + sparse + ["int64"] * len(sparse) + list(node.attr("Tdense") or [])


_DELIVERS: Mapping[str, Callable[[Node], list[str]]] = {
    **dict.fromkeys(("IteratorGetNext", "IteratorGetNextSync"), _listed("output_types")),
    **dict.fromkeys(("QueueDequeue", "QueueDequeueMany", "QueueDequeueUpTo"), _listed("component_types")),
    **dict.fromkeys(("QueueDequeueV2", "QueueDequeueManyV2", "QueueDequeueUpToV2"), _listed("component_types")),
    **dict.fromkeys(("ParseExample", "ParseExampleV2", "ParseSingleExample"), _parsed),
    **dict.fromkeys(("DecodeJpeg", "DecodePng", "DecodeImage", "DecodeAndCropJpeg"), _single("dtype", "uint8")),
    **dict.fromkeys(("DecodeBmp", "DecodeGif"), lambda node: ["uint8"]),
    **dict.fromkeys(("DecodeRaw", "DecodePaddedRaw", "StringToNumber", "ParseTensor"), _single("out_type", "float32")),
    "DecodeCSV": _listed("OUT_TYPE"),
}
"""Ops that hand a pipeline's numbers to the network, and the types of their outputs."""


def is_delivery(node: Node) -> bool:
    """Whether the node hands a pipeline's numbers to the network."""
    return node.op in _DELIVERS


def cut_pipelines(graph: Graph) -> Graph:
    """The graph with every op that delivers numbers turned into a placeholder of as many outputs.

    Its `dtypes` are those of the outputs; text among them is nobody's input.
    """
    nodes = {}
    for node in graph:
        types = _DELIVERS[node.op](node) if node.op in _DELIVERS else []
        if any(dtype not in ("string", "variant", "resource") for dtype in types):
            attrs = {"dtype": types[0], "dtypes": types}
            shapes = (*node.shapes, *(None,) * (len(types) - len(node.shapes)))
            nodes[node.name] = replace(node, op="Placeholder", inputs=(), control=(), attrs=attrs, shapes=shapes)
    return Graph({**graph.nodes, **nodes}, graph.aliases) if nodes else graph
