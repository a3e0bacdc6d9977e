"""Blocks that are one another but for optional parts: a projection shortcut, an expansion, a residual connection.

The larger group is the base. The smaller one must be the base with some steps left out, each of which hands one of its
inputs on: a layer of one input, or a sum or product with one of its operands.
"""

from __future__ import annotations

from dataclasses import dataclass

from tf2ms.graph import Tensor
from tf2ms.rules.types import Step
from tf2ms.structure.groups import Body, Group, arguments_of, kind_of, settings_of
from tf2ms.structure.names import local_label

_MAX_STEPS = 48
"""Larger groups are not aligned: the time is the product of their sizes."""

_COST = float("inf")


@dataclass(frozen=True)
class Alignment:
    """For each place of the base the other group's, or None; for a place left out, the input it hands on."""

    places: tuple[int | None, ...]
    handed_on: dict[int, int]


def align(body: Body, base: Group, other: Group) -> Alignment | None:
    """The other group as the base with steps left out, the fewest; None if it is not."""
    if len(base.inputs) != 1 or len(other.inputs) != 1 or len(base.outputs) != 1 or len(other.outputs) != 1:
        return None
    if not len(other.steps) < len(base.steps) <= _MAX_STEPS:
        return None
    aligner = _Aligner(body, base, other)
    if aligner.cost(base.outputs[0], other.outputs[0]) == _COST:
        return None
    return aligner.read()


class _Aligner:
    def __init__(self, body: Body, base: Group, other: Group):
        self.body, self.base, self.other = body, base, other
        self.inside = (set(base.steps), set(other.steps))
        self.known: dict[tuple[Tensor, Tensor], tuple[float, int | None]] = {}

    def _step(self, tensor: Tensor, side: int) -> int | None:
        index = self.body.producer.get(tensor)
        return index if index in self.inside[side] else None

    def cost(self, mine: Tensor, theirs: Tensor) -> float:
        """How many steps of the base are left out at least, infinite if the two do not match.

        In `known` also what to do: None to match the two, or the input that the base's step hands on.
        """
        key = (mine, theirs)
        if key not in self.known:
            self.known[key] = (_COST, None)
            self.known[key] = self._choose(mine, theirs)
        return self.known[key][0]

    def _choose(self, mine: Tensor, theirs: Tensor) -> tuple[float, int | None]:
        a, b = self._step(mine, 0), self._step(theirs, 1)
        if a is None:
            return (0 if b is None else _COST), None
        best: tuple[float, int | None] = (_COST, None)
        step = self.body.steps[a]
        if b is not None:
            other = self.body.steps[b]
            alike = (step.form, len(step.inputs), mine.index) == (other.form, len(other.inputs), theirs.index)
            if alike and kind_of(step) == kind_of(other):
                pairs = zip(step.inputs, other.inputs, strict=True)
                unlike = self._unlikeness(step, other)
                best = (unlike + sum(self.cost(own, given) for own, given in pairs), None)
        for index in self._hands_on(a):
            cost = self._price(step) + self.cost(step.inputs[index], theirs)
            if cost < best[0]:
                best = (cost, index)
        return best

    def _unlikeness(self, step: Step, other: Step) -> float:
        """How little two steps of one kind stand for each other: less than a step left out costs."""
        if step.layer is None or other.layer is None:
            return 0
        one, two = settings_of(step), settings_of(other)
        names = [local_label(item.label, group.label) for item, group in ((step, self.base), (other, self.other))]
        differ = (
            (one.get("group", 1) == 1) != (two.get("group", 1) == 1),
            one.get("kernel_size") != two.get("kernel_size"),
            names[0] != names[1] and all(names),
        )
        return sum(differ) / 4

    @staticmethod
    def _price(step: Step) -> float:
        """A layer that gives as many channels as it takes is left out before one that does not."""
        arguments = arguments_of(step)
        return 1 if arguments.get("in_channels") == arguments.get("out_channels") else 1.5

    def _hands_on(self, index: int) -> list[int]:
        """The inputs that a step may hand on when it is left out."""
        step = self.body.steps[index]
        if len(step.outputs) > 1 or step.weights:
            return []
        if step.form == "{layer}({0})":
            changes_size = step.layer is not None and "Pool" in step.layer.cls
            return [] if changes_size else [0]
        if step.layer is None and step.form in ("{0} + {1}", "{0} * {1}"):
            # what is not handed on must be the block's own input, else steps would hang in the air
            return [i for i in (0, 1) if self._step(step.inputs[1 - i], 0) is None]
        return []

    def read(self) -> Alignment | None:
        """The choices from the output down, if they say the same of every step."""
        found: dict[int, int | None] = {}
        handed_on: dict[int, int] = {}
        stack = [(self.base.outputs[0], self.other.outputs[0])]
        while stack:
            mine, theirs = stack.pop()
            a, b = self._step(mine, 0), self._step(theirs, 1)
            if a is None:
                continue
            choice = self.known[mine, theirs][1]
            partner = b if choice is None else None
            if found.setdefault(a, partner) != partner:
                return None
            step = self.body.steps[a]
            if choice is not None:
                handed_on[a] = choice
                stack.append((step.inputs[choice], theirs))
            elif b is not None:
                stack.extend(zip(step.inputs, self.body.steps[b].inputs, strict=True))
        partners = [step for step in found.values() if step is not None]
        if len(found) < len(self.base.steps) or sorted(partners) != sorted(self.other.steps):
            return None
        place = {index: number for number, index in enumerate(self.base.steps)}
        others: dict[int | None, int | None] = {index: number for number, index in enumerate(self.other.steps)}
        return Alignment(
            tuple(others.get(found[index]) for index in self.base.steps),
            {place[index]: choice for index, choice in handed_on.items()},
        )
