"""Lists of one item that every round sets again: after the loop they hold what the last round made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from tf2ms.flow.bodies import map_bodies, substituted
from tf2ms.graph import Graph, Node, Tensor


def last_items(graph: Graph, ends: Sequence[Tensor]) -> Graph:
    """The graph with a loop's variable read in the place of a list that holds just its last value.

    So Keras's recurrent layers give their last output.
    """
    if not any(node.op == "While" for node in graph):
        return graph
    return _last_items(map_bodies(graph, _last_items), ends)


def _last_items(graph: Graph, ends: Sequence[Tensor]) -> Graph:
    stand_ins: dict[Tensor, Tensor] = {}
    nodes = dict(graph.nodes)
    for loop in graph:
        for made, value in _lists(graph, loop) if loop.op == "While" and loop.bodies else ():
            stacks = [graph[name] for name in graph.consumers[loop.name] if made in graph[name].inputs]
            if made in ends or any(stack.op not in ("TensorListStack", "TensorListGather") for stack in stacks):
                continue
            for stack in stacks:
                users = [graph[name] for name in graph.consumers[stack.name]]
                stand_ins.update((Tensor(user.name), value) for user in users if _only_row(graph, user))
                axis = f"{stack.name}/axis"
                nodes[axis] = Node(axis, "Const", attrs={"value": np.array(0, np.int32)}, shapes=((),))
                attrs = {"T": stack.attr("element_dtype", "float32")}
                nodes[stack.name] = replace(stack, op="ExpandDims", inputs=(value, Tensor(axis)), attrs=attrs)
    return substituted(Graph(nodes, graph.aliases), stand_ins, ends)


def _lists(graph: Graph, loop: Node) -> Iterator[tuple[Tensor, Tensor]]:
    """(the list after the loop, the loop's variable that is its item)."""
    body, numbers = loop.bodies[1], loop.attr("outputs")
    for place, output in enumerate(body.outputs):
        setter, reserve = body.graph[output.node], graph[loop.inputs[place].node]
        if setter.op != "TensorListSetItem" or reserve.op != "TensorListReserve":
            continue
        index, length = body.graph.constant(setter.inputs[1]), graph.constant(reserve.inputs[-1])
        first = index is not None and length is not None and (int(index), int(length)) == (0, 1)
        if first and setter.inputs[0] == body.inputs[place] and setter.inputs[2] in body.outputs:
            value = body.outputs.index(setter.inputs[2])
            yield Tensor(loop.name, numbers[place]), Tensor(loop.name, numbers[value])


def _only_row(graph: Graph, node: Node) -> bool:
    """Whether the node is `x[0]` or `x[-1]`."""
    if node.op != "StridedSlice" or node.attr("shrink_axis_mask") != 1 or node.attr("ellipsis_mask"):
        return False
    begin = graph.constant(node.inputs[1])
    return begin is not None and begin.tolist() in ([0], [-1]) and not node.attr("new_axis_mask")
