"""The shape of every tensor: what the graph says of itself, else TensorFlow's own inference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef

Shape = tuple[int | None, ...]  # a None dimension is unknown
Shapes = Mapping[str, tuple[Shape | None, ...]]  # node -> the shape of each output; None: unknown rank


def has_shapes(graph_def: GraphDef) -> bool:
    """Whether the graph carries its shapes: every node whose output is used has TensorFlow's `_output_shapes`."""
    known = {node.name for node in graph_def.node if "_output_shapes" in node.attr}
    return bool(known) and all(name in known for node in graph_def.node for name, _ in data_inputs(node))


def infer_shapes(graph_def: GraphDef, overrides: Mapping[str, Sequence[int | None]] | None = None) -> Shapes:
    """The shape of every output of every node; None for unknown ranks and dimensions.

    A graph that carries its shapes is believed, and TensorFlow is not imported; for any other graph, and with
    `overrides` (the shape of a placeholder or other tensor by name, as `x` or `x:0`), TensorFlow infers them. Nodes
    that TensorFlow does not know or refuses, such as custom ops, get outputs of unknown rank, as many as are used.

    Raises SourceError if TensorFlow is needed and not installed, if an override is not in the graph, or if TensorFlow
    refuses the graph as a whole.
    """
    if has_shapes(graph_def) and not overrides:
        return {node.name: own_shapes(node) for node in graph_def.node}
    from tf2ms.source.inference import inferred_shapes

    return inferred_shapes(graph_def, overrides or {})


def own_shapes(node: NodeDef) -> tuple[Shape | None, ...]:
    """The shapes a node carries, () if none."""
    if "_output_shapes" not in node.attr:
        return ()
    shapes = node.attr["_output_shapes"].list.shape
    return tuple(
        None if shape.unknown_rank else tuple(None if dim.size < 0 else dim.size for dim in shape.dim)
        for shape in shapes
    )


def data_inputs(node: NodeDef) -> Iterator[tuple[str, int]]:
    """The tensors a node reads, each as (node, output); control inputs are left out."""
    for name in node.input:
        if not name.startswith("^"):
            name, _, index = name.partition(":")
            yield name, int(index) if index.isdecimal() else 0
