"""What a verification asks and what it found: plain data, ready for a table or JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

LEVELS = ("forward", "loss", "gradients", "update", "free")
"""In the order in which they are run and read."""


@dataclass(frozen=True)
class Bars:
    """What may differ, level by level.

    `forward` and `loss` are relative to the tensor's largest magnitude. `gradients` is the norm of the difference
    over the norm, or `spread_factor` times what TensorFlow shows against itself where that is more. `update` is
    relative to the variable's largest update; one unit in the last place is always allowed. `free` is relative to
    the loss, or `spread_factor` times the spread of TensorFlow's own runs where that is more.
    """

    forward: float = 1e-5
    loss: float = 1e-6
    gradients: float = 1e-4
    update: float = 1e-6
    free: float = 1e-5
    spread_factor: float = 3.0


@dataclass(frozen=True)
class Place:
    """Where a thing is: its TensorFlow node, its attribute path in the network, its line in the generated file."""

    node: str | None = None
    path: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        where = f"{self.path}, line {self.line}" if self.path and self.line else self.path or ""
        where = where or (f"line {self.line}" if self.line else "")
        return f"{self.node} ({where})" if self.node and where else self.node or where


@dataclass(frozen=True)
class Check:
    """One comparison. `difference` is None where nothing could be compared; `message` then says why.

    `values` are TensorFlow's and MindSpore's where they differ most.
    """

    level: str
    what: str
    passed: bool
    difference: float | None = None
    bar: float | None = None
    place: Place = Place()
    values: tuple[float, float] | None = None
    message: str = ""


@dataclass(frozen=True)
class Crash:
    """A run that died: on which side, doing what, in which layer, with what message."""

    side: str
    level: str
    message: str
    layer: str | None = None


@dataclass(frozen=True)
class Curves:
    """The free run: the loss at each step of every TensorFlow run, of MindSpore's, and how far that may be."""

    tensorflow: Mapping[str, tuple[float, ...]]
    mindspore: tuple[float, ...]
    allowed: tuple[float, ...]


@dataclass(frozen=True)
class Evidence:
    """What was compared and how far it differs. `levels` are those that were run."""

    levels: tuple[str, ...]
    bars: Bars
    checks: tuple[Check, ...]
    crashes: tuple[Crash, ...] = ()
    notes: tuple[str, ...] = ()
    curves: Curves | None = None
    plot: str | None = None
    skipped: Mapping[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether every bar was met and nothing died."""
        return not self.crashes and not self.failures()

    def failures(self, level: str | None = None) -> tuple[Check, ...]:
        """The checks that missed their bar, in order: of layers, the first to depart comes first."""
        return tuple(check for check in self.checks if not check.passed and level in (None, check.level))

    def first_departure(self) -> Check | None:
        """The first thing, in the order of the levels and of the graph, that departs from TensorFlow."""
        return next(iter(self.failures()), None)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data; the schema is in docs/verify.md."""
        first = self.first_departure()
        plain = {
            "passed": self.passed,
            "levels": list(self.levels),
            "skipped": dict(self.skipped),
            "bars": asdict(self.bars),
            "first_departure": asdict(first) if first else None,
            "checks": [asdict(check) for check in self.checks],
            "crashes": [asdict(crash) for crash in self.crashes],
            "notes": list(self.notes),
            "curves": asdict(self.curves) if self.curves else None,
            "plot": self.plot,
        }
        return {name: _finite(value) for name, value in plain.items()}


def _finite(value: Any) -> Any:
    """NaN and infinity as text, which JSON has no numbers for."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
