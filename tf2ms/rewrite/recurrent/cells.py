"""Which layer of MindSpore's a step computes: two formulas that agree on random numbers are the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np

from tf2ms.graph import Tensor
from tf2ms.rewrite.evaluation import Evaluator
from tf2ms.rewrite.recurrent.types import GATES, Recurrent, Source

BATCH = 2
_TOLERANCE = 1e-9


def find_cell(
    evaluate: Evaluator, x: np.ndarray, states: Sequence[np.ndarray], made: Sequence[np.ndarray]
) -> tuple[Recurrent, np.ndarray] | None:
    """(the layer whose step turns `states` into `made`, reading `x`; the hidden state that it makes); None if there is
    none.

    A row of a state that comes out as it went in has ended; it says nothing. The layer's weights are among those that
    `evaluate` has met.
    """
    width, units = x.shape[-1], states[0].shape[-1]
    ended = [bool(np.array_equal(a, b)) for a, b in zip(states[0], made[0], strict=True)]
    for hidden in range(len(states)):
        order = [hidden, *(place for place in range(len(states)) if place != hidden)]
        given, wanted = [states[place] for place in order], [made[place] for place in order]
        for candidate in _candidates(evaluate, width, units, len(states)):
            found = compute(candidate, evaluate.weights, x, given)
            masked = [np.where(np.array(ended)[:, None], old, new) for old, new in zip(given, found, strict=True)]
            if all(map(same, masked, wanted)) and not all(ended):
                return replace(candidate, states=tuple(order)), found[0]
    return None


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two formulas gave the same numbers."""
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=0, atol=_TOLERANCE))


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
