"""Recurrent layers, recognised by what a step computes, however the graph spells it.

A step is evaluated with random weights and states, and compared with the formulas of MindSpore's layers in every
order of gates: two formulas that agree on random numbers are the same. What a layer cannot do (masks, peepholes,
projections, other activations) does not agree, and stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from tf2ms.graph import Graph, Tensor
from tf2ms.rewrite.recurrent.bidirectional import both_ways
from tf2ms.rewrite.recurrent.block import block_layer
from tf2ms.rewrite.recurrent.layer import KINDS, plain
from tf2ms.rewrite.recurrent.loops import loop_layers
from tf2ms.rewrite.recurrent.types import Recurrent, Source
from tf2ms.rewrite.recurrent.unrolled import unrolled_layers

__all__ = ["LOOPS", "Recurrent", "Source", "recurrent_layers"]

LOOPS = frozenset({"While", "BlockLSTM", "BlockLSTMV2", "Unpack"})


def recurrent_layers(graph: Graph, ends: Sequence[Tensor]) -> Graph:
    """The graph with each loop, or row of equal steps, that is a recurrent layer as a node LSTM, GRU or RNN.

    `layer_node` says what those read and give.
    """
    for node in list(graph):
        if node.op in ("BlockLSTM", "BlockLSTMV2"):
            graph = block_layer(graph, node, ends)
        elif node.op == "While":
            graph = loop_layers(graph, node.name, ends)
    if any(node.op == "Unpack" for node in graph):
        graph = unrolled_layers(graph, ends)
    return _states_as_ends(both_ways(graph, ends), ends)


def _states_as_ends(graph: Graph, ends: Sequence[Tensor]) -> Graph:
    """The graph with a layer's last states under the names of the ends that they are, not copied to them."""
    nodes = dict(graph.nodes)
    for tensor in ends:
        end = nodes[tensor.node]
        source = nodes[end.inputs[0].node] if end.op == "Identity" else end
        if source is not end and source.inputs and source.inputs[0].index and nodes[source.inputs[0].node].op in KINDS:
            nodes[end.name] = plain(end, source.op, source.inputs, source.attrs)
    return graph if nodes == graph.nodes else Graph(nodes, graph.aliases)
