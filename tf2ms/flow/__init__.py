"""Graph -> Graph: every way that TensorFlow has to write a condition or loop becomes If, Case and While with bodies.

Functional control flow takes its bodies from the function library, TensorFlow 1's frames are recovered, TensorArrays
become lists. The stages behind see one form alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from tensorboard.compat.proto.graph_pb2 import GraphDef

from tf2ms.flow.arrays import arrays_as_lists
from tf2ms.flow.frames import recover_frames, used
from tf2ms.flow.functions import Library
from tf2ms.flow.simplify import simplified
from tf2ms.graph import Graph, Tensor

__all__ = ["recover_flow"]


def recover_flow(graph: Graph, graph_def: GraphDef, ends: Sequence[Tensor]) -> Graph:
    """The part of the graph that `ends` need, its control flow as nodes with bodies.

    `graph_def` holds the function library. Linear in nodes, and for conditions of TensorFlow 1 also in how many of
    them follow each other.

    Raises: GraphError for a function that is missing or calls itself.
    """
    graph = recover_frames(used(graph, ends), ends)
    graph = Library(graph_def).with_bodies(graph, ends)
    return simplified(arrays_as_lists(graph, ends), ends)
