"""Cutting the graph at tensors that the user names: they become inputs, what lies before them is not read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from tf2ms.errors import GraphError
from tf2ms.graph import Graph, Node, Tensor
from tf2ms.graph.build import dtype_name
from tf2ms.split.pipeline import is_delivery


def cut_at(graph: Graph, inputs: Sequence[str]) -> Graph:
    """The graph with the named tensors turned into placeholders.

    A node of several outputs becomes a placeholder of as many, whose `dtypes` are theirs; outputs of it that are not
    named come from a copy of the node, `NAME/rest`.

    Raises: GraphError for an output whose type cannot be told.
    """
    named: dict[str, set[int]] = defaultdict(set)
    for text in inputs:
        tensor = graph.tensor(text)
        named[tensor.node].add(tensor.index)
    nodes, moved = dict(graph.nodes), {}
    for name, indices in named.items():
        node = graph[name]
        if node.op in ("Placeholder", "PlaceholderV2") or is_delivery(node):
            continue
        types = _types(node, max(indices))
        shapes = (*node.shapes, *(None,) * (len(types) - len(node.shapes)))
        attrs = {"dtype": types[0], **({"dtypes": types} if len(types) > 1 else {})}
        nodes[name] = Node(name, "Placeholder", (), (), attrs, shapes, (name,))
        if len(indices) < len(types):
            rest = f"{name}/rest"
            while rest in nodes:
                rest += "_"
            nodes[rest] = replace(node, name=rest)
            moved.update({Tensor(name, i): Tensor(rest, i) for i in range(len(types)) if i not in indices})
    if not moved:
        return Graph(nodes, graph.aliases)
    for name, node in nodes.items():
        if any(tensor in moved for tensor in node.inputs):
            nodes[name] = replace(node, inputs=tuple(moved.get(tensor, tensor) for tensor in node.inputs))
    return Graph(nodes, {**{copy: moved.get(t, t) for copy, t in graph.aliases.items()}, **moved})


def _types(node: Node, last: int) -> list[str]:
    """The types of the node's outputs, up to number `last` at least."""
    definition = _definition(node.op)
    if definition is None:  # an op of somebody's own: what its one output most likely is
        types = [str(node.attr("dtype") or node.attr("DstT") or node.attr("T", "float32"))]
    else:
        types = [dtype for output in definition.output_arg for dtype in _output_types(node, definition, output)]
    if last >= len(types):
        why = f"has {len(types)} outputs" if definition is not None else "is of an op that TensorFlow does not know"
        raise GraphError(f"'{node.name}:{last}' cannot be an input: '{node.name}' {why}")
    return types


def _definition(op: str) -> Any:
    """TensorFlow's definition of an op; None for one of somebody's own, and without TensorFlow."""
    if find_spec("tensorflow") is None:
        return None
    from tf2ms.source.lazy import tensorflow

    tensorflow("cutting a graph")
    from tensorflow.python.framework import op_def_registry

    return op_def_registry.get(op)


def _output_types(node: Node, definition: Any, output: Any) -> list[str]:
    """The types of one output of an op's definition, which may stand for a list of tensors."""
    defaults = {attr.name: attr.default_value for attr in definition.attr}
    if output.type_list_attr:
        return list(node.attr(output.type_list_attr) or ())
    own = dtype_name(output.type) if output.type else node.attr(output.type_attr)
    dtype = str(own or dtype_name(defaults[output.type_attr].type))
    count = node.attr(output.number_attr, defaults[output.number_attr].i) if output.number_attr else 1
    return [dtype] * int(count)
