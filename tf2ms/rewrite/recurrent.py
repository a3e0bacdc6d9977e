"""Loops that are recurrent layers, recognised by what a round computes, however the graph spells it.

A round is evaluated with random weights and states, and compared with the formulas of MindSpore's layers in every
order of gates: two formulas that agree on random numbers are the same. What a layer cannot do (masks, sequence lengths,
peepholes, projections, other activations) does not agree, and stays a loop.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import numpy as np

from tf2ms.flow.bodies import substituted
from tf2ms.graph import Graph, Node, Tensor
from tf2ms.rewrite.evaluation import Evaluator, Unknown
from tf2ms.rules.lists import Count, count_of, is_range
from tf2ms.rules.sizes import Part

LOOPS = frozenset({"While", "BlockLSTM", "BlockLSTMV2"})
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_BATCH = 2
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Source:
    """A weight of a layer: rows of a variable; `order` is the place of each of MindSpore's gates in it, `added` what
    the graph adds to each gate (a forget bias)."""

    variable: Tensor
    rows: tuple[int, int] | None
    order: tuple[int, ...]
    added: tuple[float, ...] = ()


@dataclass(frozen=True)
class Recurrent:
    """What a loop is: its kind, sizes, and where its weights come from (bias_hh only for a GRU's second bias).

    `states` are which of the loop's states are the hidden one and the cell.
    """

    kind: str
    inputs: int
    units: int
    weights: Mapping[str, Source]
    relu: bool = False
    states: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class _Loop:
    """The parts of a loop over the rows of one tensor."""

    rows: Tensor
    item: Tensor
    states: tuple[int, ...]
    lists: Mapping[int, bool]  # place of a list -> whether every round sets its own item (else the first again)


def recurrent_layers(graph: Graph, ends: Sequence[Tensor]) -> Graph:
    """The graph with each loop that is a recurrent layer as a node LSTM, GRU or RNN.

    Its outputs are the sequence, the last hidden state and cell, the states with an axis of one layer before them.
    """
    for node in list(graph):
        if node.op in ("BlockLSTM", "BlockLSTMV2"):
            graph = _block(graph, node, ends)
        if node.op != "While" or node.name not in graph:
            continue
        loop = _parts(graph, node)
        found = _recognised(graph, node, loop) if loop is not None else None
        if loop is not None and found is not None:
            graph = _replaced(graph, node, loop, found, ends)
    return graph


# -- the loop ----------------------------------------------------------------------------------------------------------


def _parts(graph: Graph, node: Node) -> _Loop | None:
    """The loop's parts if it goes over all rows of one tensor, and only sets lists to what its first state becomes."""
    count, body = count_of(graph, node), node.bodies[1]
    items = [inner for inner in body.graph if inner.op == "TensorListGetItem"]
    if count is None or (count.start, count.step) != (0, 1) or len(items) != 1:
        return None
    counter, (rows, index) = body.inputs[count.place], items[0].inputs[:2]
    if index != counter or rows not in node.inputs or rows.node not in graph or not _goes_over(graph, rows, count):
        return None
    states, lists = [], {}
    for place, output in enumerate(body.outputs):
        setter = body.graph[output.node]
        if place == count.place:
            continue
        if setter.op != "TensorListSetItem":
            states.append(place)
            continue
        first = body.graph.constant(setter.inputs[1])
        if setter.inputs[0] != body.inputs[place] or not (setter.inputs[1] == counter or _is_zero_number(first)):
            return None
        if setter.inputs[2] not in body.outputs:
            return None
        lists[place] = setter.inputs[1] == counter
    return _Loop(rows, Tensor(items[0].name), tuple(states), lists) if 1 <= len(states) <= 2 else None


def _is_zero_number(value: np.ndarray | None) -> bool:
    return value is not None and value.ndim == 0 and int(value) == 0


def _goes_over(graph: Graph, rows: Tensor, count: Count) -> bool:
    """Whether the count is the number of rows."""
    data = _unstacked(graph, rows)
    if data is None or len(count.stops) != 1:
        return False
    stop, shape = count.stops[0], graph.shape(data)
    known = stop.known
    if shape is None or len(shape) != 3:
        return False
    if known is not None or shape[0] is not None:
        return known is not None and int(known) == shape[0]
    moved = _batch_first(graph, data)
    lengths = [Part("{0}.shape[0]", (data,)), *([Part("{0}.shape[1]", (moved,))] if moved is not None else [])]
    return stop.parts[0] in lengths


def _unstacked(graph: Graph, rows: Tensor) -> Tensor | None:
    """The tensor whose rows the list holds, all in order."""
    node = graph[rows.node]
    if node.op == "TensorListFromTensor":
        data: Tensor = node.inputs[0]
        return data
    if node.op != "TensorListScatterIntoExistingList" or not is_range(graph, node.inputs[2]):
        return None
    scattered: Tensor = node.inputs[1]
    return scattered


def _batch_first(graph: Graph, data: Tensor) -> Tensor | None:
    """What `data` is with time and batch exchanged, if it was made so."""
    node = graph[data.node]
    return node.inputs[0] if _exchanges(graph, node) else None


def _exchanges(graph: Graph, node: Node) -> bool:
    perm = graph.constant(node.inputs[1]) if node.op == "Transpose" and len(node.inputs) == 2 else None
    return perm is not None and perm.tolist() == [1, 0, 2]


# -- what it computes --------------------------------------------------------------------------------------------------


def _recognised(graph: Graph, node: Node, loop: _Loop) -> Recurrent | None:
    body = node.bodies[1]
    item, first = body.graph.shape(loop.item), body.graph.shape(body.inputs[loop.states[0]])
    data = _unstacked(graph, loop.rows)
    width = item[-1] if item else ((graph.shape(data) if data is not None else None) or (None,))[-1]
    units = first[-1] if first else None
    if not width or not units:
        return None
    random = np.random.default_rng(0)
    evaluate = Evaluator(body.graph, graph, random)
    x = random.normal(size=(_BATCH, width))
    states = [random.normal(size=(_BATCH, units)) for _ in loop.states]
    evaluate.give({loop.item: x, **{body.inputs[p]: s for p, s in zip(loop.states, states, strict=True)}})
    try:
        made = [evaluate(body.outputs[place]) for place in loop.states]
    except Unknown:
        return None
    if any(value.shape != (_BATCH, units) for value in made):
        return None
    written = {body.graph[body.outputs[place].node].inputs[2] for place in loop.lists}
    for hidden in range(len(states)):
        others = [place for place in range(len(states)) if place != hidden]
        order = [hidden, *others]
        if written - {body.outputs[loop.states[hidden]]}:
            continue
        given, wanted = [states[place] for place in order], [made[place] for place in order]
        for candidate in _candidates(evaluate, width, units, len(states)):
            found = compute(candidate, evaluate.weights, x, given)
            if all(np.allclose(a, b, rtol=0, atol=_TOLERANCE) for a, b in zip(found, wanted, strict=True)):
                return replace(candidate, states=tuple(order))
    return None


def _candidates(evaluate: Evaluator, width: int, units: int, states: int) -> Iterator[Recurrent]:
    """Every layer that the weights read could make."""
    shapes = {variable: value.shape for variable, value in evaluate.weights.items()}
    for kind in ("LSTM",) if states == 2 else ("RNN", "GRU"):
        gates = GATES[kind]
        vectors = [(v, s) for v, s in shapes.items() if s in ((gates * units,), (2, gates * units))]
        rest = {v: s for v, s in shapes.items() if len(s) == 2 and (v, s) not in vectors}
        matrices = _matrices(rest, width, units, gates * units)
        if len(vectors) > 1 or not matrices:
            continue
        for order in permutations(range(gates)):
            for added in _added(kind, evaluate):
                for ih, hh in matrices:
                    weights = {"weight_ih": Source(ih[0], ih[1], order), "weight_hh": Source(hh[0], hh[1], order)}
                    if vectors:
                        variable, shape = vectors[0]
                        own = (0, 1) if len(shape) == 2 else None
                        weights["bias_ih"] = Source(variable, own, order, added)
                        if own is not None:
                            weights["bias_hh"] = Source(variable, (1, 2), order)
                    elif any(added):
                        continue
                    for relu in (False, True) if kind == "RNN" else (False,):
                        yield Recurrent(kind, width, units, weights, relu)


def _matrices(shapes: Mapping[Tensor, Any], width: int, units: int, columns: int) -> list[tuple[Any, Any]]:
    """((variable, rows) for inputs, (variable, rows) for states), in each way that the shapes allow."""
    if len(shapes) == 1:
        ((variable, shape),) = shapes.items()
        ends = (width, width + units), (units, width + units)
        ways = [((0, width), ends[0]), ((units, units + width), (0, units))]
        return [((variable, a), (variable, b)) for a, b in ways] if shape == (width + units, columns) else []
    if len(shapes) != 2:
        return []
    pairs = permutations(shapes.items())
    return [((a, None), (b, None)) for (a, s), (b, t) in pairs if s == (width, columns) and t == (units, columns)]


def _added(kind: str, evaluate: Evaluator) -> list[tuple[float, ...]]:
    """What may be added to the gates: nothing, or one of the graph's numbers to the forget gate of an LSTM."""
    if kind != "LSTM":
        return [()]
    return [(), *((0.0, value, 0.0, 0.0) for value in sorted(evaluate.numbers) if value)]


def compute(
    layer: Recurrent, values: Mapping[Tensor, np.ndarray], x: np.ndarray, states: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """One step of MindSpore's layer."""
    gates = GATES[layer.kind]

    def part(name: str) -> np.ndarray:
        source = layer.weights[name]
        value = values[source.variable]
        value = (value[slice(*source.rows)] if source.rows else value).reshape(-1, gates, layer.units)
        moved = value[:, list(source.order)]
        return moved + np.asarray(source.added).reshape(1, -1, 1) if source.added else moved

    def product(a: np.ndarray, weight: str, bias: str) -> list[np.ndarray]:
        result = np.einsum("bi,igu->gbu", a, part(weight))
        return list(result + part(bias)[0][:, None] if bias in layer.weights else result)

    hidden = states[0]
    a, b = product(x, "weight_ih", "bias_ih"), product(hidden, "weight_hh", "bias_hh")
    if layer.kind == "RNN":
        total = a[0] + b[0]
        return [np.maximum(total, 0) if layer.relu else np.tanh(total)]
    if layer.kind == "GRU":
        reset, update = _sigmoid(a[0] + b[0]), _sigmoid(a[1] + b[1])
        new = np.tanh(a[2] + reset * b[2])
        return [(1 - update) * new + update * hidden]
    inner, forget, new, outer = (p + q for p, q in zip(a, b, strict=True))
    cell = _sigmoid(forget) * states[1] + _sigmoid(inner) * np.tanh(new)
    return [_sigmoid(outer) * np.tanh(cell), cell]


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


# -- in its place ------------------------------------------------------------------------------------------------------


def _replaced(graph: Graph, node: Node, loop: _Loop, layer: Recurrent, ends: Sequence[Tensor]) -> Graph:
    """The graph with the layer in the loop's place; as it was if a list is read in some other way."""
    numbers = node.attr("outputs")
    data = _unstacked(graph, loop.rows)
    if data is None:
        return graph
    moved = _batch_first(graph, data)
    made = Node(_free(f"{node.name.rpartition('/')[0]}/{layer.kind}".lstrip("/"), graph), layer.kind)
    sequence, last = Tensor(made.name), tuple(Tensor(made.name, index) for index in (1, 2))
    hidden = Tensor(f"{made.name}/hidden")
    stand_ins: dict[Tensor, Tensor] = {}
    added: dict[str, Node] = {}
    for reader, all_rounds in _stacks(graph, node, loop):
        stacked = Tensor(reader.name)
        users = [graph[user] for user in graph.consumers[reader.name]]
        rest = [user for user in users if not _last_row(graph, user)]
        stand_ins.update((Tensor(user.name), hidden) for user in users if user not in rest)
        users = rest
        if not all_rounds:
            stand_ins[stacked] = last[0]
        elif not users and stacked not in ends:
            continue
        elif moved is None:
            stand_ins[stacked] = sequence
        elif users and stacked not in ends and all(_exchanges(graph, user) for user in users):
            stand_ins.update((Tensor(user.name), sequence) for user in users)
        else:
            order = Node(
                f"{reader.name}/order", "Const", attrs={"value": np.array([1, 0, 2], np.int32)}, shapes=((3,),)
            )
            added[order.name] = order
            added[reader.name] = _plain(reader, "Transpose", (sequence, Tensor(order.name)), {"T": "float32"})
    places = [loop.states[index] for index in layer.states]
    read = [place for place in places if Tensor(node.name, numbers[place]) in ends]
    for index, place in enumerate(places):
        state = Node(f"{made.name}/{('hidden', 'cell')[index]}", "", shapes=(node.shape(numbers[place]),))
        added[state.name] = _plain(state, "Squeeze", (last[index],), {"squeeze_dims": [0], "T": "float32"})
        if place not in read:
            stand_ins[Tensor(node.name, numbers[place])] = Tensor(state.name)
    kept = {name: own for name, own in graph.nodes.items() if name != node.name}
    if read:
        names = tuple(Tensor(f"{made.name}/{('hidden', 'cell')[places.index(place)]}") for place in read)
        kept[node.name] = Node(
            node.name, "Results", names, attrs={"outputs": tuple(numbers[place] for place in read)}, shapes=node.shapes
        )
    initial = tuple(node.inputs[place] for place in places)
    if all(_is_zero(graph, tensor) for tensor in initial):
        initial = ()
    variables = tuple(dict.fromkeys(source.variable for source in layer.weights.values()))
    attrs = {"layer": layer, "batch_first": moved is not None, "states": len(initial)}
    sizes = graph.shape(moved or data) or (None, None, None)
    steps = (1, sizes[0 if moved is not None else 1], layer.units)
    kept[made.name] = Node(
        made.name,
        layer.kind,
        (moved or data, *initial, *variables),
        attrs=attrs,
        shapes=((*sizes[:2], layer.units), *[steps] * len(places)),
        origins=(made.name, node.name),
    )
    changed = substituted(Graph({**kept, **added}, graph.aliases), stand_ins, ends)
    needed = _reached(changed, ends)
    if needed is None:
        return graph
    return Graph({name: changed[name] for name in needed}, graph.aliases)


def _reached(graph: Graph, ends: Sequence[Tensor]) -> set[str] | None:
    """The nodes that `ends` need; None if one of them reads the loop that is gone."""
    seen: set[str] = set()
    waiting = [tensor.node for tensor in ends]
    while waiting:
        name = waiting.pop()
        if name not in graph:
            return None
        if name not in seen:
            seen.add(name)
            waiting += [tensor.node for tensor in graph[name].inputs]
    lists = ("TensorListStack", "TensorListGather", "TensorListLength")
    reads = (graph[name].inputs for name in seen if graph[name].op in lists)
    return None if any(graph[inputs[0].node].op == "Results" for inputs in reads) else seen


def _last_row(graph: Graph, node: Node) -> bool:
    """Whether the node is `x[-1]`."""
    if node.op != "StridedSlice" or node.attr("shrink_axis_mask") != 1 or node.attr("ellipsis_mask"):
        return False
    begin = graph.constant(node.inputs[1])
    return begin is not None and begin.tolist() == [-1] and not node.attr("new_axis_mask")


_SEQUENCE = 6
"""BlockLSTM's output of hidden states; the others are what goes on inside."""


def _block(graph: Graph, node: Node, ends: Sequence[Tensor]) -> Graph:
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
    initial = () if all(_is_zero(graph, tensor) for tensor in (hidden, cell)) else (hidden, cell)
    made = Node(
        _free(f"{node.name}/LSTM", graph),
        "LSTM",
        (data, *initial, kernel, bias),
        attrs={"layer": Recurrent("LSTM", width, units, weights), "batch_first": False, "states": len(initial)},
        shapes=((*shape[:2], units), (1, shape[1], units), (1, shape[1], units)),
        origins=(node.name,),
    )
    made = replace(made, origins=(made.name, node.name))
    sequence = {Tensor(node.name, _SEQUENCE): Tensor(made.name)}
    return substituted(Graph({**graph.nodes, made.name: made}, graph.aliases), sequence, ends)


def _plain(node: Node, op: str, inputs: tuple[Tensor, ...], attrs: Mapping[str, Any]) -> Node:
    """The node as another op."""
    return Node(node.name, op, inputs, attrs=attrs, shapes=node.shapes, origins=node.origins or (node.name,))


def _free(name: str, graph: Graph) -> str:
    free, number = name, 1
    while free in graph:
        free, number = f"{name}_{number}", number + 1
    return free


def _stacks(graph: Graph, node: Node, loop: _Loop) -> Iterator[tuple[Node, bool]]:
    """What makes tensors of the loop's lists, and whether of all rounds."""
    for place, all_rounds in loop.lists.items():
        out = Tensor(node.name, node.attr("outputs")[place])
        for name in graph.consumers[node.name]:
            if out in graph[name].inputs and graph[name].op in ("TensorListStack", "TensorListGather"):
                yield graph[name], all_rounds


def _is_zero(graph: Graph, tensor: Tensor) -> bool:
    """Whether the tensor is of zeros, whatever its shape."""
    value, node = graph.constant(tensor), graph[tensor.node]
    if value is not None:
        return not value.any()
    if node.op == "Fill":
        return _is_zero(graph, node.inputs[1])
    return node.op == "ZerosLike"
