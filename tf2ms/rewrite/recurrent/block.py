"""TensorFlow's fused BlockLSTM as a layer."""

from __future__ import annotations

from collections.abc import Sequence

from tf2ms.flow.bodies import substituted
from tf2ms.graph import Graph, Node, Tensor
from tf2ms.rewrite.recurrent.layer import free_name, initial_states, layer_node
from tf2ms.rewrite.recurrent.types import Recurrent, Source

_SEQUENCE = 6
"""BlockLSTM's output of hidden states; the others are what goes on inside."""


def block_layer(graph: Graph, node: Node, ends: Sequence[Tensor]) -> Graph:
    """The graph with a BlockLSTM as a layer, if only its sequence is read and it is of the plain kind."""
    second = node.op == "BlockLSTMV2"
    read = {t for user in graph.consumers[node.name] for t in graph[user].inputs} | set(ends)
    clipped = node.attr("cell_clip", 0.0 if second else 3.0) > 0
    length, data, cell, hidden, kernel = node.inputs[:5]
    shape, columns = graph.shape(data), graph[kernel.node].weight_shape()
    known = graph.constant(length)
    if {t.index for t in read if t.node == node.name} != {_SEQUENCE} or node.attr("use_peephole") or clipped:
        return graph
    if shape is None or None in shape or columns is None or known is None or int(known) != shape[0]:
        return graph
    width, units = int(shape[2] or 0), columns[1] // 4
    order, bias = (0, 1, 2, 3) if second else (0, 2, 1, 3), node.inputs[8]
    forget = 0.0 if second else float(node.attr("forget_bias", 1.0))
    if Tensor(node.name, _SEQUENCE) in ends or not graph[bias.node].is_weight():
        return graph
    weights = {
        "weight_ih": Source(kernel, (0, width), order),
        "weight_hh": Source(kernel, (width, width + units), order),
        "bias_ih": Source(bias, None, order, (0.0, forget, 0.0, 0.0) if forget else ()),
    }
    name = free_name(f"{node.name}/LSTM", graph)
    initial = initial_states(graph, (hidden, cell))
    layer = Recurrent("LSTM", width, units, weights)
    made = layer_node(name, (layer,), data, shape, batch_first=False, initial=initial, origins=(node.name,))
    sequence = {Tensor(node.name, _SEQUENCE): Tensor(made.name)}
    return substituted(Graph({**graph.nodes, made.name: made}, graph.aliases), sequence, ends)
