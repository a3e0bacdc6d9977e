"""One order for what has none: the operands of sums and products."""

from __future__ import annotations

import itertools
from dataclasses import replace

from tf2ms.graph import Tensor
from tf2ms.lower.label import is_made_up, tidied
from tf2ms.rules.types import Program, Step

_COMMUTATIVE = frozenset({"{0} + {1}", "{0} * {1}"})


def _is_own(part: str) -> bool:
    return not is_made_up(part)


def canonical(program: Program, own_names_only: bool = False) -> Program:
    """The program with the operands of sums and products in one order: what lies nearer to the inputs comes first.

    A sum and a product of two floats are the same either way, to the last bit. So blocks that differ in the order
    alone are one class, and a shortcut reads `x + branch`. Labels lose what says nothing, with `own_names_only` also
    names such as conv2d_17, which Keras made up.
    """
    labels = tidied((step.label for step in program.steps), short=own_names_only)
    if own_names_only:
        labels = {own: tuple(itertools.takewhile(_is_own, label)) for own, label in labels.items()}
    depth: dict[Tensor, int] = dict.fromkeys(program.inputs, 0)
    steps: list[Step] = []
    for step in program.steps:
        inputs = step.inputs
        if step.form in _COMMUTATIVE and len(inputs) == 2 and depth[inputs[0]] > depth[inputs[1]]:
            inputs = inputs[::-1]
        depth.update(dict.fromkeys(step.outputs, 1 + max((depth[tensor] for tensor in inputs), default=0)))
        steps.append(replace(step, inputs=inputs, label=labels.get(step.label, ())))
    return Program(tuple(steps), program.inputs, program.outputs)
