"""Recurrent layers: loops that `rewrite/recurrent.py` recognised, and TensorFlow's block cells."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from tf2ms.rewrite.recurrent import GATES, Recurrent, Source
from tf2ms.rules.op import Cell, Expression, Op
from tf2ms.rules.registry import rule
from tf2ms.rules.types import Gates, Weight


@rule("LSTM", "GRU", "RNN", form="nn.LSTM, nn.GRU, nn.RNN", note="a bias of the graph is bias_ih, bias_hh stays zero")
def recurrent(op: Op) -> Expression:
    """A layer over a sequence: the sequence, the last hidden state, the last cell."""
    layer: Recurrent = op["layer"]
    first = 1 + op["states"]
    weights: dict[str, Any] = {
        f"{name}_l0": _weight(op, first, layer, source) for name, source in layer.weights.items()
    }
    if "bias_ih" in layer.weights and "bias_hh" not in layer.weights:
        weights["bias_hh_l0"] = op.literal(np.zeros(GATES[layer.kind] * layer.units, np.float32))
    cell = Cell(
        f"nn.{layer.kind}",
        ("input_size", layer.inputs),
        ("hidden_size", layer.units),
        nonlinearity="relu" if layer.relu else None,
        has_bias=None if "bias_ih" in layer.weights else False,
        batch_first=True if op["batch_first"] else None,
        **weights,
    )
    operands = tuple(op.tensor(index) for index in range(first))
    made = cell(*operands)
    states = [f"{{{index}}}.expand_dims(0)" for index in range(1, first)]
    given = f", ({', '.join(states)})" if len(states) == 2 else f", {states[0]}" if states else ""
    targets = "{0}, ({1}, {2})" if layer.kind == "LSTM" else "{0}, {1}"
    return replace(made, form=f"{{layer}}({{0}}{given})", outputs=3 if layer.kind == "LSTM" else 2, targets=targets)


def _weight(op: Op, first: int, layer: Recurrent, source: Source) -> Weight:
    """A matrix as (gates * units, inputs), a bias as a vector."""
    index = next(i for i in range(first, len(op)) if op.node.inputs[i] == source.variable)
    held = op.weight(index)
    shape = held.source_shape
    rows = (source.rows[1] - source.rows[0] if source.rows else shape[0]) if len(shape) == 2 else 1
    columns = math.prod(shape[-1:])
    part = Gates(source.rows, source.order, source.added)
    if rows == 1 and held.source_shape[-1:] and source.added is not None and _is_bias(source, layer):
        grouped: tuple[int, ...] = (columns,)
        return replace(held, grouped=grouped, perm=(0,), shape=grouped, part=part)
    return replace(held, grouped=(rows, columns), perm=(1, 0), shape=(columns, rows), part=part)


def _is_bias(source: Source, layer: Recurrent) -> bool:
    return any(own is source for name, own in layer.weights.items() if name.startswith("bias"))


@rule("Results", form="{0}, {1}")
def results(op: Op) -> Expression:
    """Values under the name of a node that made them in another way."""
    places = ", ".join(f"{{{index}}}" for index in range(len(op)))
    return Expression(places if len(op) == 1 else f"({places})", tuple(op.tensor(i) for i in range(len(op))))
