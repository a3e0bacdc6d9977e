"""Input pipelines inside the graph: cut where they deliver numbers, which become inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from tf2ms.graph import Graph, Node
from tf2ms.graph.types import PLACEHOLDER_OPS


def _listed(name: str) -> Callable[[Node], list[str]]:
    return lambda node: list(node.attr(name) or [])


def _single(name: str, default: str) -> Callable[[Node], list[str]]:
    return lambda node: [str(node.attr(name) or default)]


def _parsed(node: Node) -> list[str]:
    """Of sparse features indices, values and shapes, then the dense features."""
    sparse = list(node.attr("sparse_types") or [])
    return ["int64"] * len(sparse) + sparse + ["int64"] * len(sparse) + list(node.attr("Tdense") or [])


_FETCHES: Mapping[str, Callable[[Node], list[str]]] = {
    **dict.fromkeys(("IteratorGetNext", "IteratorGetNextSync"), _listed("output_types")),
    **dict.fromkeys(("QueueDequeue", "QueueDequeueMany", "QueueDequeueUpTo"), _listed("component_types")),
    **dict.fromkeys(("QueueDequeueV2", "QueueDequeueManyV2", "QueueDequeueUpToV2"), _listed("component_types")),
}
"""Ops that take a batch out of a pipeline, and the types of their outputs."""

_READS_TEXT: Mapping[str, Callable[[Node], list[str]]] = {
    **dict.fromkeys(("ParseExample", "ParseExampleV2", "ParseSingleExample"), _parsed),
    **dict.fromkeys(("DecodeJpeg", "DecodePng", "DecodeImage", "DecodeAndCropJpeg"), _single("dtype", "uint8")),
    **dict.fromkeys(("DecodeBmp", "DecodeGif"), lambda node: ["uint8"]),
    **dict.fromkeys(("DecodeRaw", "DecodePaddedRaw", "StringToNumber", "ParseTensor"), _single("out_type", "float32")),
    "DecodeCSV": _listed("OUT_TYPE"),
}
"""Ops that make numbers of a pipeline's text, and the types of their outputs."""

_TEXT = ("string", "variant", "resource")


def is_delivery(node: Node) -> bool:
    """Whether the node hands a pipeline's numbers to the network."""
    return node.op in _FETCHES or node.op in _READS_TEXT


def cut_pipelines(graph: Graph) -> Graph:
    """The graph with every op that delivers numbers turned into a placeholder of as many outputs.

    Its `dtypes` are those of the outputs; text among them is nobody's input. Text that is made of the network's own
    numbers is no pipeline's: it is left to be refused.
    """
    nodes = {}
    own = _made_of_numbers(graph) if any(node.op in _READS_TEXT for node in graph) else set()
    for node in graph:
        delivers = _READS_TEXT.get(node.op) or _FETCHES.get(node.op)
        if delivers is None or (node.op in _READS_TEXT and node.name in own):
            continue
        types = delivers(node)
        if any(dtype not in _TEXT for dtype in types):
            attrs = {"dtype": types[0], "dtypes": types}
            shapes = (*node.shapes, *(None,) * (len(types) - len(node.shapes)))
            nodes[node.name] = replace(node, op="Placeholder", inputs=(), control=(), attrs=attrs, shapes=shapes)
    return Graph({**graph.nodes, **nodes}, graph.aliases) if nodes else graph


def _made_of_numbers(graph: Graph) -> set[str]:
    """The nodes that depend on a placeholder of numbers, other than through a pipeline."""
    numbers = [node.name for node in graph if node.op in PLACEHOLDER_OPS and node.attr("dtype") not in _TEXT]
    return graph.descendants(numbers, {node.name for node in graph if node.op not in _FETCHES})
