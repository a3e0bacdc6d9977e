"""What the split stage finds: the part that each piece of a training graph plays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tf2ms.graph import Graph, Shape, Tensor


@dataclass(frozen=True)
class Initializer:
    """How a variable starts. `kind` is one of zeros, ones, constant, uniform, normal, truncated_normal, value.

    `args` are (value,), (low, high) or (mean, stddev); `value` is the array of a variable that starts as one.
    """

    kind: str
    args: tuple[float, ...] = ()
    value: np.ndarray | None = None

    def draw(self, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
        """An array that starts so; TensorFlow's truncated normal draws again beyond two standard deviations."""
        if self.kind == "value" and self.value is not None:
            return self.value
        if self.kind == "uniform":
            return random.uniform(self.args[0], self.args[1], size=shape)
        if self.kind == "normal":
            return random.normal(self.args[0], self.args[1], size=shape)
        if self.kind == "truncated_normal":
            drawn = random.standard_normal(shape)
            while (outside := np.abs(drawn) > 2).any():
                drawn = np.where(outside, random.standard_normal(shape), drawn)
            return self.args[0] + self.args[1] * drawn
        return np.full(shape, self.args[0])


@dataclass(frozen=True)
class Variable:
    """A variable (or a frozen constant weight) that the network reads; `shape` and values in TensorFlow's layout."""

    name: str
    tensor: Tensor
    shape: tuple[int, ...]
    dtype: str
    trainable: bool
    initializer: Initializer | None

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True)
class Input:
    """A tensor that the user feeds; `feeds` is "backbone", "loss" or "nothing"."""

    tensor: Tensor
    shape: Shape
    dtype: str
    feeds: str


@dataclass(frozen=True)
class Optimizer:
    """The update rule, its hyperparameters under TensorFlow's names, and the variables that it trains."""

    name: str
    op: str
    hyperparameters: Mapping[str, float]
    flags: Mapping[str, bool]
    variables: tuple[str, ...]

    def __str__(self) -> str:
        names = {"lr": "learning_rate"}
        values = [f"{names.get(key, key)}={value:g}" for key, value in self.hyperparameters.items()]
        return f"{self.name}({', '.join([*values, *(f'{key}=True' for key, on in self.flags.items() if on)])})"


@dataclass(frozen=True)
class Dropped:
    """A group of nodes that the MindSpore project does not need as nodes, and why."""

    reason: str
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class Roles:
    """The parts of the graph. Without a loss the graph is an inference network: `optimizer` is None as well."""

    graph: Graph
    inputs: tuple[Input, ...]
    outputs: tuple[Tensor, ...]
    loss: Tensor | None
    terms: tuple[Tensor, ...]
    optimizer: Optimizer | None
    variables: tuple[Variable, ...]
    dropped: tuple[Dropped, ...]
    notes: tuple[str, ...] = ()

    @property
    def ends(self) -> tuple[Tensor, ...]:
        """What must be computed: the outputs, and the loss if there is one."""
        return self.outputs if self.loss is None else (*self.outputs, self.loss)

    def fed(self, part: str) -> tuple[Input, ...]:
        """The inputs that feed `part` ("backbone" or "loss"), in the graph's order."""
        return tuple(item for item in self.inputs if item.feeds == part)


def short_float(value: Any) -> float:
    """The float with the fewest digits that is the same float32: 0.0001 for 9.99999974e-05."""
    value = float(value)
    return value if np.float32(value) != value else float(str(np.float32(value)))


def number_text(value: float) -> str:
    """A number as Python code, NaN and infinities too."""
    return repr(value) if math.isfinite(value) else f'float("{value}")'
