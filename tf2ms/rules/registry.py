"""The rule table: one row says all that is known of one TensorFlow op."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from tf2ms.layout import LayoutRule, any_order, keeps_order
from tf2ms.rules.op import Expression, Op

Build = Callable[[Op], Expression]


@dataclass(frozen=True)
class Rule:
    """One row: how the op is written in MindSpore, what its tensors' order may be, and how the frameworks differ."""

    op: str
    build: Build
    layout: LayoutRule
    form: str
    note: str = ""


_RULES: dict[str, Rule] = {}


def rule(*ops: str, layout: LayoutRule = keeps_order, form: str = "", note: str = "") -> Callable[[Build], Build]:
    """Registers a function as the rule of one or more op types.

    Args:
        ops: TensorFlow op types.
        layout: what the layout stage may do with the op's tensors.
        form: the MindSpore form for `tf2ms ops`; by default the function's name says enough.
        note: a documented difference between the frameworks and the device it bites on.

    Raises: ValueError if an op has a rule already.
    """

    def register(build: Build) -> Build:
        for op in ops:
            if op in _RULES:
                raise ValueError(f"the op {op} has two rules")
            _RULES[op] = Rule(op, build, layout, form or build.__name__, note)
        return build

    return register


def elementwise(*ops: str, form: str, note: str = "") -> None:
    """Registers a one-line row for plain element-wise ops: `form` with `{0}`, `{1}` for the inputs."""
    rule(*ops, layout=any_order, form=form, note=note)(lambda op: op.form(form))


@cache
def _load() -> None:
    from tf2ms.rules import array, math, nn  # noqa: F401  # registers the rows


def find_rule(op: str) -> Rule | None:
    """The row of an op type; None if there is none."""
    _load()
    return _RULES.get(op)


def all_rules() -> tuple[Rule, ...]:
    """Every row, by name."""
    _load()
    return tuple(_RULES[op] for op in sorted(_RULES))


def layout_of(op: str) -> LayoutRule:
    """What an op's rule says of its tensors' order; ops without a rule keep theirs."""
    found = find_rule(op)
    return found.layout if found else keeps_order
