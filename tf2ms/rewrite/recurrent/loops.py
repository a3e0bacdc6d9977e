"""Loops over the rows of a tensor whose rounds are steps of recurrent layers, one or several of them stacked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from tf2ms.flow.bodies import captures, outer_node, rebound, substituted
from tf2ms.graph import Body, Graph, Node, Tensor
from tf2ms.rewrite.evaluation import Evaluator, Unknown
from tf2ms.rewrite.recurrent.cells import BATCH, find_cell, same
from tf2ms.rewrite.recurrent.layer import batch_first, exchanges, free_name, initial_states, layer_node, plain
from tf2ms.rewrite.recurrent.types import Recurrent
from tf2ms.rules.lists import Count, count_of, is_range
from tf2ms.rules.sizes import Part

_STACKS = ("TensorListStack", "TensorListGather")
_ROUND = 3
"""The round that is evaluated: the first row's sequence goes on, the second's has ended."""


@dataclass(frozen=True)
class _Loop:
    """The parts of a loop over the rows of one tensor.

    `lists`: place of a list -> whether every round sets its own item (else the first again). `lengths`: the lengths of
    the batch's sequences, None where all are whole.
    """

    rows: Tensor
    item: Tensor
    counter: Tensor
    states: tuple[int, ...]
    lists: Mapping[int, bool]
    lengths: Tensor | None


@dataclass(frozen=True)
class _Found:
    """A layer, the places of its states (hidden, cell), and the tensors of a round that are its hidden state."""

    layer: Recurrent
    places: tuple[int, ...]
    hidden: frozenset[Tensor]


def loop_layers(graph: Graph, name: str, ends: Sequence[Tensor]) -> Graph:
    """The graph with the loop called `name` as a layer, or as several where one reads what the other makes."""
    while name in graph:
        node = graph[name]
        loop = _parts(graph, node)
        if loop is None:
            return graph
        found = _recognised(graph, node, loop, loop.states) if len(loop.states) <= 2 else None
        if found is not None:
            return _replaced(graph, node, loop, found, ends)
        taken = _first_layer(graph, node, loop, ends)
        if taken is None:
            return graph
        graph = taken
    return graph


# -- the loop ----------------------------------------------------------------------------------------------------------


def _parts(graph: Graph, node: Node) -> _Loop | None:
    """The loop's parts if it goes over all rows of one tensor, and besides its states only sets items of lists."""
    body = node.bodies[1]
    lengths = _lengths(graph, body)
    enough = (lambda stop: _reaches(graph, stop, lengths)) if lengths is not None else None
    count = count_of(graph, node, enough=enough)
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
        lists[place] = setter.inputs[1] == counter
    return _Loop(rows, Tensor(items[0].name), counter, tuple(states), lists, lengths) if states else None


def _is_zero_number(value: np.ndarray | None) -> bool:
    return value is not None and value.ndim == 0 and int(value) == 0


def _lengths(graph: Graph, body: Body) -> Tensor | None:
    """The vector of the graph around the body that its rounds are compared with."""
    found = {
        tensor
        for node in body.graph
        if node.op in ("GreaterEqual", "Less", "Greater", "LessEqual")
        for tensor in node.inputs
        if tensor.node in graph and len(graph.shape(tensor) or ()) == 1
    }
    return found.pop() if len(found) == 1 else None


def _reaches(graph: Graph, stop: Tensor, lengths: Tensor | None) -> bool:
    """Whether `stop` is the greatest length, or no less unless another limit is."""
    node, known = graph[stop.node], graph.constant(stop)
    given = graph.constant(lengths) if lengths is not None else None
    if known is not None:
        return given is not None and bool(known >= given.max(initial=0))
    if node.op in ("Minimum", "Maximum"):
        ways = [_reaches(graph, tensor, lengths) for tensor in node.inputs]
        return any(ways)
    return node.op == "Max" and node.inputs[0] == lengths


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
    moved = batch_first(graph, data)
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


# -- what it computes --------------------------------------------------------------------------------------------------


def _recognised(graph: Graph, node: Node, loop: _Loop, places: Sequence[int]) -> _Found | None:
    """The layer whose states are at `places`; where these are all, the lists must hold its sequence."""
    body = node.bodies[1]
    item, first = body.graph.shape(loop.item), body.graph.shape(body.inputs[places[0]])
    data = _unstacked(graph, loop.rows)
    width = item[-1] if item else ((graph.shape(data) if data is not None else None) or (None,))[-1]
    units = first[-1] if first else None
    if not width or not units:
        return None
    random = np.random.default_rng(0)
    evaluate = Evaluator(body.graph, graph, random)
    x = random.normal(size=(BATCH, width))
    states = [random.normal(size=(BATCH, units)) for _ in places]
    evaluate.give({loop.item: x, **{body.inputs[p]: s for p, s in zip(places, states, strict=True)}})
    evaluate.give({loop.counter: np.array(_ROUND)})
    if loop.lengths is not None:
        evaluate.give({loop.lengths: np.array([_ROUND + 2, _ROUND - 1])})
    try:
        made = [evaluate(body.outputs[place]) for place in places]
        if any(value.shape != (BATCH, units) for value in made):
            return None
        found = find_cell(evaluate, x, states, made)
        if found is None:
            return None
        layer, hidden = found
        whole = len(places) == len(loop.states)
        for place in loop.lists if whole else ():
            written = evaluate(body.graph[body.outputs[place].node].inputs[2])
            masked = hidden if loop.lengths is None else hidden * [[1.0], [0.0]]
            if not same(written, masked):
                return None
    except Unknown:
        return None
    return _Found(layer, tuple(places[index] for index in layer.states), evaluate.equal_to(hidden))


# -- in its place ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Made:
    """A layer in the graph: its node, and the nodes that read its last states."""

    node: Node
    states: Mapping[int, Node]  # by their places in the loop
    data: Tensor

    @property
    def sequence(self) -> Tensor:
        return Tensor(self.node.name)


def _made(graph: Graph, node: Node, loop: _Loop, found: _Found) -> _Made | None:
    """The nodes of the layer, not yet in the graph."""
    data = _unstacked(graph, loop.rows)
    if data is None:
        return None
    moved, layer = batch_first(graph, data), found.layer
    made = layer_node(
        free_name(f"{node.name.rpartition('/')[0]}/{layer.kind}".lstrip("/"), graph),
        (layer,),
        moved or data,
        graph.shape(moved or data),
        batch_first=moved is not None,
        initial=initial_states(graph, [node.inputs[place] for place in found.places]),
        lengths=loop.lengths,
        origins=(node.name,),
    )
    numbers, states = node.attr("outputs"), {}
    for index, place in enumerate(found.places):
        state = Node(f"{made.name}/{('hidden', 'cell')[index]}", "", shapes=(node.shape(numbers[place]),))
        last = (Tensor(made.name, index + 1),)
        states[place] = plain(state, "Squeeze", last, {"squeeze_dims": [0], "T": "float32"})
    return _Made(made, states, data)


def _first_layer(graph: Graph, node: Node, loop: _Loop, ends: Sequence[Tensor]) -> Graph | None:
    """The graph with the first of several stacked layers before the loop, which goes over its sequence instead."""
    body, numbers = node.bodies[1], node.attr("outputs")
    for size in (1, 2):
        for places in combinations(loop.states, size):
            if not _alone(body, places, loop):
                continue
            found = _recognised(graph, node, loop, places)
            made = _made(graph, node, loop, found) if found is not None else None
            if found is None or made is None:
                continue
            rows = _rows_of(graph, made)
            kept = [place for place in range(len(numbers)) if place not in places]
            reading = _reading(graph, node, loop, found, Tensor(rows[-1].name), kept)
            if reading is None:
                continue
            new = [made.node, *made.states.values(), *rows]
            nodes = {**graph.nodes, **{own.name: own for own in new}, node.name: reading}
            results = {Tensor(node.name, numbers[place]): Tensor(made.states[place].name) for place in places}
            if any(tensor in ends for tensor in results):
                continue
            changed = substituted(Graph(nodes, graph.aliases), results, ends)
            return Graph({name: changed[name] for name in changed.order([t.node for t in ends])}, graph.aliases)
    return None


def _alone(body: Body, places: Sequence[int], loop: _Loop) -> bool:
    """Whether the states at `places` become what they become without the others."""
    needed = body.graph.ancestors(body.outputs[place].node for place in places)
    others = {body.inputs[place].node for place in loop.states if place not in places}
    return loop.item.node in needed and not needed & others


def _rows_of(graph: Graph, made: _Made) -> list[Node]:
    """The sequence as a list of its rows, time first."""
    nodes, sequence = [], made.sequence
    shape = made.node.shape()
    if made.node.attr("batch_first"):
        order = Node(f"{made.node.name}/order", "Const", attrs={"value": np.array([1, 0, 2], np.int32)}, shapes=((3,),))
        turned = (shape[1], shape[0], shape[2]) if shape else None
        name = f"{made.node.name}/by_time"
        nodes = [order, Node(name, "Transpose", (sequence, Tensor(order.name)), (), {"T": "float32"}, (turned,))]
        sequence = Tensor(name)
    return [*nodes, Node(f"{made.node.name}/rows", "TensorListFromTensor", (sequence,), shapes=((),))]


def _reading(graph: Graph, node: Node, loop: _Loop, found: _Found, rows: Tensor, kept: Sequence[int]) -> Node | None:
    """The loop without the layer, reading its hidden state from `rows`; None if it reads anything else of it."""
    body = node.bodies[1]
    item = replace(body.graph[loop.item.node], inputs=(rows, *body.graph[loop.item.node].inputs[1:]))
    units = found.layer.units
    name = f"{item.name}/hidden"
    shape = body.graph.shape(loop.item)
    item = replace(item, name=name, shapes=((*(shape[:-1] if shape else (None,)), units),), origins=(name,))
    outer = {**graph.nodes, **{t.node: body.graph[t.node] for t in body.inputs if t.node in body.graph}}
    outer[rows.node] = Node(rows.node, "TensorListFromTensor", (), shapes=((),))
    stand_ins = dict.fromkeys(found.hidden, Tensor(name))
    rest = replace(body, outputs=tuple(body.outputs[place] for place in kept), inputs=body.inputs)
    inner = Graph({**body.graph.nodes, name: item, rows.node: outer_node(outer[rows.node])})
    changed = rebound(replace(rest, graph=inner), stand_ins, {**outer, name: item})
    nodes = dict(changed.graph.nodes)
    nodes[name] = item
    nodes[rows.node] = outer_node(outer[rows.node])
    nodes[loop.counter.node] = body.graph[loop.counter.node]
    needed = Graph(nodes).ancestors(tensor.node for tensor in changed.outputs)
    if loop.item.node in needed or any(body.inputs[place].node in needed for place in found.places):
        return None
    kept_inputs = tuple(body.inputs[place] for place in kept)
    nodes = {own: nodes[own] for own in nodes if own in needed or own in {t.node for t in kept_inputs}}
    condition = node.bodies[0]
    if {body.inputs[place].node for place in found.places} & condition.graph.ancestors(
        tensor.node for tensor in condition.outputs
    ):
        return None
    bodies = (
        replace(condition, inputs=tuple(condition.inputs[place] for place in kept)),
        Body(Graph(nodes), kept_inputs, changed.outputs),
    )
    numbers = node.attr("outputs")
    initial = tuple(node.inputs[place] for place in kept)
    return replace(
        node,
        inputs=(*initial, *captures(bodies, outer)),
        bodies=bodies,
        attrs={**node.attrs, "outputs": tuple(numbers[place] for place in kept)},
    )


def _replaced(graph: Graph, node: Node, loop: _Loop, found: _Found, ends: Sequence[Tensor]) -> Graph:
    """The graph with the layer in the loop's place; as it was if a list is read in some other way."""
    numbers = node.attr("outputs")
    layer = _made(graph, node, loop, found)
    if layer is None:
        return graph
    made, moved = layer.node, batch_first(graph, layer.data)
    sequence, last = layer.sequence, Tensor(made.name, 1)
    hidden = Tensor(layer.states[found.places[0]].name)
    stand_ins: dict[Tensor, Tensor] = {}
    added: dict[str, Node] = {own.name: own for own in layer.states.values()}
    for reader, all_rounds in _stacks(graph, node, loop):
        stacked = Tensor(reader.name)
        users = [graph[user] for user in graph.consumers[reader.name]]
        rest = [user for user in users if loop.lengths is not None or not _last_row(graph, user)]
        stand_ins.update((Tensor(user.name), hidden) for user in users if user not in rest)
        users = rest
        if not all_rounds:
            stand_ins[stacked] = last
        elif not users and stacked not in ends:
            continue
        elif moved is None:
            stand_ins[stacked] = sequence
        elif users and stacked not in ends and all(exchanges(graph, user) for user in users):
            stand_ins.update((Tensor(user.name), sequence) for user in users)
        else:
            order = Node(
                f"{reader.name}/order", "Const", attrs={"value": np.array([1, 0, 2], np.int32)}, shapes=((3,),)
            )
            added[order.name] = order
            added[reader.name] = plain(reader, "Transpose", (sequence, Tensor(order.name)), {"T": "float32"})
    read = [place for place in found.places if Tensor(node.name, numbers[place]) in ends]
    for place, state in layer.states.items():
        if place not in read:
            stand_ins[Tensor(node.name, numbers[place])] = Tensor(state.name)
    kept = {name: own for name, own in graph.nodes.items() if name != node.name}
    if read:
        names = tuple(Tensor(layer.states[place].name) for place in read)
        kept[node.name] = Node(
            node.name, "Results", names, attrs={"outputs": tuple(numbers[place] for place in read)}, shapes=node.shapes
        )
    changed = substituted(Graph({**kept, **added, made.name: made}, graph.aliases), stand_ins, ends)
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
    lists = (*_STACKS, "TensorListLength")
    reads = (graph[name].inputs for name in seen if graph[name].op in lists)
    return None if any(graph[inputs[0].node].op == "Results" for inputs in reads) else seen


def _last_row(graph: Graph, node: Node) -> bool:
    """Whether the node is `x[-1]`."""
    if node.op != "StridedSlice" or node.attr("shrink_axis_mask") != 1 or node.attr("ellipsis_mask"):
        return False
    begin = graph.constant(node.inputs[1])
    return begin is not None and begin.tolist() == [-1] and not node.attr("new_axis_mask")


def _stacks(graph: Graph, node: Node, loop: _Loop) -> Iterator[tuple[Node, bool]]:
    """What makes tensors of the loop's lists, and whether of all rounds."""
    for place, all_rounds in loop.lists.items():
        out = Tensor(node.name, node.attr("outputs")[place])
        for name in graph.consumers[node.name]:
            if out in graph[name].inputs and graph[name].op in _STACKS:
                yield graph[name], all_rounds
