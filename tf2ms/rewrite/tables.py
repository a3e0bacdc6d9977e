"""Static lookup tables: what fills a table becomes an input of what reads it."""

from __future__ import annotations

from dataclasses import replace

from tf2ms.graph import Graph, Tensor

_FILLS = frozenset({"LookupTableImport", "LookupTableImportV2", "InitializeTable", "InitializeTableV2"})
_READS = frozenset({"LookupTableFind", "LookupTableFindV2", "LookupTableSize", "LookupTableSizeV2"})


def join_tables(graph: Graph) -> Graph:
    """The graph with the keys and values of each table that is filled once behind the inputs of its readers."""
    filled: dict[str, list[tuple[Tensor, ...]]] = {}
    for node in graph:
        if node.op in _FILLS and len(node.inputs) == 3:
            filled.setdefault(node.inputs[0].node, []).append(tuple(node.inputs[1:]))
    if not filled:
        return graph
    nodes = dict(graph.nodes)
    for node in graph:
        contents = filled.get(node.inputs[0].node, []) if node.op in _READS and node.inputs else []
        if len(contents) == 1:
            nodes[node.name] = replace(node, inputs=(*node.inputs, *contents[0]))
    return Graph(nodes, graph.aliases)
