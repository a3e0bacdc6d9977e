"""Cells that a graph writes once for each step (static_rnn, Keras's unroll=True) as layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations, product

import numpy as np

from tf2ms.flow.bodies import substituted
from tf2ms.graph import Graph, Node, Tensor
from tf2ms.rewrite.evaluation import Evaluator, Unknown
from tf2ms.rewrite.recurrent.cells import BATCH, compute, find_cell, same
from tf2ms.rewrite.recurrent.layer import batch_first, exchanges, free_name, initial_states, layer_node
from tf2ms.rewrite.recurrent.types import Recurrent

_FEWEST = 3
"""A cell is known by its second step: what enters it, and what leaves it for the third."""

_MOST_STATES = 12
_MOST_NODES = 60
"""A step is smaller than this."""

_LINEAR = frozenset({"MatMul", "BiasAdd", "Add", "AddV2", "Split", "SplitV", "StridedSlice", "Squeeze"})

Values = Mapping[Tensor, np.ndarray]


@dataclass(frozen=True)
class _Chain:
    """A cell's steps: the layer, the states it begins with (hidden, cell), and those after each step."""

    layer: Recurrent
    initial: tuple[Tensor, ...]
    states: tuple[tuple[Tensor, ...], ...]


def unrolled_layers(graph: Graph, ends: Sequence[Tensor]) -> Graph:
    """The graph with each cell whose steps read the rows of one tensor as a layer, stacked ones one by one."""
    waiting = [node.name for node in graph if _is_unstacked(graph, node)]
    while waiting:
        name = waiting.pop(0)
        if name not in graph:
            continue
        for backwards in (False, True):
            steps = _Steps(graph, graph[name], backwards)
            chain = steps.chain()
            changed = _replaced(graph, graph[name], steps, chain, ends) if chain is not None else None
            if changed is not None:
                waiting += [node.name for node in changed if node.name not in graph and node.op == "Unpack"]
                waiting.append(name)
                graph = changed
                break
    return _rows_joined(graph, ends)


def _rows_joined(graph: Graph, ends: Sequence[Tensor]) -> Graph:
    """The graph with sequences joined as wholes where their rows are, one by one, and the rows then stacked."""
    nodes = dict(graph.nodes)
    for pack in graph:
        rows = [graph[tensor.node] for tensor in pack.inputs] if pack.op == "Pack" else []
        if not rows or any(row.op != "ConcatV2" or len(row.inputs) != len(rows[0].inputs) for row in rows):
            continue
        time = int(pack.attr("axis", 0))
        axes = [graph.constant(row.inputs[-1]) for row in rows]
        parts = [_whole(graph, [row.inputs[place] for row in rows], time) for place in range(len(rows[0].inputs) - 1)]
        if None in parts or time not in (0, 1) or any(axis is None or int(axis) not in (1, -1) for axis in axes):
            continue
        axis = Node(f"{pack.name}/axis", "Const", attrs={"value": np.array(2, np.int32)}, shapes=((),))
        joined = (*(part for part in parts if part is not None), Tensor(axis.name))
        attrs = {"T": "float32", "N": len(parts)}
        nodes[axis.name] = axis
        nodes[pack.name] = Node(pack.name, "ConcatV2", joined, attrs=attrs, shapes=pack.shapes, origins=pack.origins)
    changed = Graph(nodes, graph.aliases)
    return Graph({name: nodes[name] for name in changed.order([t.node for t in ends])}, graph.aliases)


def _whole(graph: Graph, rows: Sequence[Tensor], axis: int) -> Tensor | None:
    """The tensor whose rows these are, all in order."""
    node = graph[rows[0].node]
    if node.op != "Unpack" or int(node.attr("axis", 0)) != axis or len(node.shapes) != len(rows):
        return None
    return node.inputs[0] if list(rows) == [Tensor(node.name, index) for index in range(len(rows))] else None


def _is_unstacked(graph: Graph, node: Node) -> bool:
    """Whether the node gives the rows of a tensor of three axes, by time."""
    if node.op != "Unpack" or len(graph.shape(node.inputs[0]) or ()) != 3 or len(node.shapes) < _FEWEST:
        return False
    readers = [graph[name] for name in graph.consumers[node.name]]
    return int(node.attr("axis", 0)) in (0, 1) and any(r.op in ("MatMul", "ConcatV2") for r in readers)


class _Steps:
    """The part of a graph that depends on an Unpack, parted into steps."""

    def __init__(self, graph: Graph, unpack: Node, backwards: bool):
        count = len(unpack.shapes)
        self.graph = graph
        self.rows = [Tensor(unpack.name, index) for index in range(count)]
        if backwards:
            self.rows.reverse()
        self.backwards = backwards
        number = {row: index for index, row in enumerate(self.rows)}
        reached = graph.descendants([unpack.name])
        self._step: dict[str, int] = {}  # of the last row that a node depends on
        for name in graph.order(sorted(reached)):
            if name in reached and name != unpack.name:
                found = (number.get(t, self._step.get(t.node, -1)) for t in graph[name].inputs)
                self._step[name] = max(found, default=-1)
        for name in reversed(self._step):  # a product of a state belongs to the step that reads it
            if graph[name].op in _LINEAR and sum(tensor.node in self._step for tensor in graph[name].inputs) == 1:
                self._step[name] = min((self._step[user] for user in graph.consumers[name]), default=self._step[name])
        self._random = np.random.default_rng(0)

    def chain(self) -> _Chain | None:
        """The first cell whose steps the rows are read by."""
        entering, leaving = self._crossing(0), self._crossing(1)
        if not entering or max(len(entering), len(leaving)) > _MOST_STATES:
            return None
        for size in (1, 2):
            for states in combinations(entering, size):
                found = self._second(states, leaving)
                if found is None:
                    continue
                layer, first, second, weights = found
                rest = self._rest(layer, second, weights)
                initial = self._initial(layer, first, weights)
                if rest is not None and initial is not None:
                    return _Chain(layer, initial, (first, second, *rest))
        return None

    def _crossing(self, step: int) -> list[Tensor]:
        """What leaves one step for the next."""
        found: dict[Tensor, None] = {}
        for name, own in self._step.items():
            if own == step + 1:
                found.update((t, None) for t in self.graph[name].inputs if self._step.get(t.node) == step)
        return list(found)

    def _draw(self, tensor: Tensor) -> np.ndarray | None:
        shape = self.graph.shape(tensor)
        return (
            self._random.normal(size=(BATCH, shape[1])) if shape is not None and len(shape) == 2 and shape[1] else None
        )

    def _evaluator(self, step: int, known: Mapping[Tensor, np.ndarray | None]) -> Evaluator:
        evaluate = Evaluator(self.graph, self.graph, self._random, lambda name: self._step.get(name, -1) in (step, -1))
        evaluate.give({tensor: value for tensor, value in known.items() if value is not None})
        return evaluate

    def _second(
        self, states: tuple[Tensor, ...], leaving: Sequence[Tensor]
    ) -> tuple[Recurrent, tuple[Tensor, ...], tuple[Tensor, ...], Values] | None:
        """(the layer, its states before and after the second step in its own order, its weights)."""
        x, given = self._draw(self.rows[1]), [self._draw(state) for state in states]
        values = [value for value in given if value is not None]
        if x is None or len(values) < len(given) or len({value.shape for value in values}) > 1:
            return None
        evaluate = self._evaluator(1, {self.rows[1]: x, **dict(zip(states, values, strict=True))})
        made: dict[Tensor, np.ndarray] = {}
        for tensor in leaving:
            try:
                value = evaluate(tensor)
            except Unknown:
                continue
            if value.shape == values[0].shape:
                made[tensor] = value
        for tensors in permutations(made, len(states)):
            found = find_cell(evaluate, x, values, [made[tensor] for tensor in tensors])
            if found is not None:
                order = found[0].states
                before, after = (tuple(own[place] for place in order) for own in (states, tensors))
                return found[0], before, after, evaluate.weights
        return None

    def _rest(self, layer: Recurrent, before: tuple[Tensor, ...], weights: Values) -> list[tuple[Tensor, ...]] | None:
        """The states after the third step and all others."""
        found = []
        for step in range(2, len(self.rows)):
            after = self._after(layer, step, before, weights)
            if after is None:
                return None
            found.append(after)
            before = after
        return found

    def _after(
        self, layer: Recurrent, step: int, before: tuple[Tensor, ...], weights: Values
    ) -> tuple[Tensor, ...] | None:
        x, given = self._draw(self.rows[step]), [self._draw(state) for state in before]
        values = [value for value in given if value is not None]
        if x is None or len(values) < len(given):
            return None
        evaluate = self._evaluator(step, {self.rows[step]: x, **dict(zip(before, values, strict=True)), **weights})
        wanted = compute(layer, weights, x, values)
        found: dict[int, Tensor] = {}
        for tensor in self._near(step, before):
            try:
                value = evaluate(tensor)
            except Unknown:
                continue
            for place, expected in enumerate(wanted):
                if same(value, expected):
                    found.setdefault(place, tensor)
            if len(found) == len(wanted):
                return tuple(found[place] for place in range(len(wanted)))
        return None

    def _near(self, step: int, before: Sequence[Tensor]) -> Iterator[Tensor]:
        """What the step computes from the states before it, the nearest first."""
        waiting = list(before)
        seen: set[str] = set()
        while waiting and len(seen) < _MOST_NODES:
            tensor = waiting.pop(0)
            for name in self.graph.consumers[tensor.node]:
                if self._step.get(name) != step or name in seen or tensor not in self.graph[name].inputs:
                    continue
                seen.add(name)
                outputs = [Tensor(name, index) for index in range(max(1, len(self.graph[name].shapes)))]
                yield from outputs
                waiting += outputs

    def _initial(self, layer: Recurrent, after: tuple[Tensor, ...], weights: Values) -> tuple[Tensor, ...] | None:
        """The states that the first step begins with."""
        before = self._behind(after, layer)
        x = self._draw(self.rows[0])
        if x is None:
            return None
        for states in product(before, repeat=len(after)):
            values = {state: self._random.normal(size=(BATCH, layer.units)) for state in states}
            evaluate = self._evaluator(0, {self.rows[0]: x, **values, **weights})
            wanted = compute(layer, weights, x, [values[state] for state in states])
            try:
                made = [evaluate(tensor) for tensor in after]
            except Unknown:
                continue
            if all(
                a.shape == b.shape and np.allclose(a, b, rtol=0, atol=1e-9) for a, b in zip(made, wanted, strict=True)
            ):
                return states
        return None

    def _behind(self, after: Sequence[Tensor], layer: Recurrent) -> list[Tensor]:
        """What is there before the first step, has the form of a state, and is no weight of the layer's."""
        variables = {source.variable for source in layer.weights.values()}
        nodes = [self.graph[name] for name in self.graph.order([t.node for t in after]) if name not in self._step]
        found = []
        for node in nodes:
            shape = node.shape() or node.weight_shape()
            if shape is not None and len(shape) == 2 and shape[1] == layer.units and Tensor(node.name) not in variables:
                found.append(Tensor(node.name))
        return found[-_MOST_STATES:]


# -- in their place ----------------------------------------------------------------------------------------------------


def _replaced(graph: Graph, unpack: Node, steps: _Steps, chain: _Chain, ends: Sequence[Tensor]) -> Graph | None:
    """The graph with the layer in the place of the steps; None where a state between two steps is read otherwise."""
    data, time = unpack.inputs[0], int(unpack.attr("axis", 0))
    moved = batch_first(graph, data) if time == 0 else None
    by_batch = moved is not None or time == 1
    source, axis = moved or data, 1 if by_batch else 0
    scope = unpack.name.rpartition("/")[0]
    shape = graph.shape(source)
    nodes = dict(graph.nodes)
    name = free_name(f"{_scope(chain.states[0][0].node) or scope}/{chain.layer.kind}".lstrip("/"), graph)

    def add(suffix: str, op: str, inputs: tuple[Tensor, ...], shapes: Sequence[object], **attrs: object) -> Tensor:
        own = f"{name}/{suffix}"
        nodes[own] = Node(own, op, inputs, attrs={"T": "float32", **attrs}, shapes=tuple(shapes), origins=(own,))  # type: ignore[arg-type]
        return Tensor(own)

    def const(suffix: str, value: object) -> Tensor:
        array = np.array(value, np.int32)
        return add(suffix, "Const", (), (array.shape,), value=array, dtype="int32")

    if steps.backwards:
        source = add("reversed", "ReverseV2", (source, const("axes", [axis])), (shape,), Tidx="int32")
    made = layer_node(
        name,
        (chain.layer,),
        source,
        shape,
        batch_first=by_batch,
        initial=initial_states(graph, chain.initial),
        origins=tuple(tensor.node for tensors in chain.states for tensor in tensors),
    )
    nodes[name] = made
    sequence = Tensor(name)
    if steps.backwards:  # in the order of the rows
        sequence = add("in_order", "ReverseV2", (sequence, const("axes_back", [axis])), (made.shape(),), Tidx="int32")
    hidden = [states[0] for states in chain.states]
    in_order = hidden[::-1] if steps.backwards else hidden
    one = graph.shape(hidden[0])
    stand_ins: dict[Tensor, Tensor] = {}
    for index in range(len(chain.states[-1])):
        last = (Tensor(name, index + 1),)
        state = add(("hidden", "cell")[index], "Squeeze", last, (one,), squeeze_dims=[0])
        stand_ins[chain.states[-1][index]] = state
    swapped = None
    for reader in dict.fromkeys(user for tensor in hidden for user in graph.consumers[tensor.node]):
        node = graph[reader]
        if node.op == "Pack" and list(node.inputs) == in_order and int(node.attr("axis", 0)) in (0, 1):
            if int(node.attr("axis", 0)) == axis:
                stand_ins[Tensor(reader)] = sequence
                continue
            turns = [graph[user] for user in graph.consumers[reader]]
            stand_ins.update((Tensor(user.name), sequence) for user in turns if exchanges(graph, user))
            if swapped is None:
                turned = (made.shape()[1], made.shape()[0], made.shape()[2])  # type: ignore[index]
                swapped = add("turned", "Transpose", (sequence, const("order", [1, 0, 2])), (turned,))
            stand_ins[Tensor(reader)] = swapped
        elif node.op == "ConcatV2" and list(node.inputs[:-1]) == in_order and by_batch:
            where = graph.constant(node.inputs[-1])
            if where is not None and int(where) in (1, -1):
                width = len(hidden) * chain.layer.units
                flat = add(
                    f"flat_{len(nodes)}", "Reshape", (sequence, const("flat_shape", [-1, width])), (node.shape(),)
                )
                stand_ins[Tensor(reader)] = flat
    rows = add("rows", "Unpack", (sequence,), [one] * len(hidden), axis=axis, num=len(hidden))
    each = {tensor: Tensor(rows.node, index) for index, tensor in enumerate(in_order)}
    alone = {**each, **stand_ins}  # the last state, where only that is read
    for choice in (alone, {**stand_ins, **each}):
        changed = substituted(Graph(nodes, graph.aliases), choice, ends)
        needed = changed.ancestors(tensor.node for tensor in ends)
        inner = {t.node for states in chain.states[:-1] for t in states} - {t.node for t in ends}
        if inner & needed:
            return None
        if choice is alone and rows.node in needed:
            continue
        return Graph({own: changed[own] for own in changed.order([t.node for t in ends])}, graph.aliases)
    return None


def _scope(name: str) -> str:
    """The layer's scope: that of its cell's first step, without the cell."""
    return "/".join(name.split("/")[:-2])
