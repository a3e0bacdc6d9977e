"""What is known of a recurrent layer: its kind, its sizes, and which parts of which variables are its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tf2ms.graph import Tensor

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


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
