"""The training's own formulas as classes: learning rates."""

from __future__ import annotations

from tf2ms.graph import Tensor
from tf2ms.rules.types import Program
from tf2ms.structure.blocks import default_name, distinct, ordered
from tf2ms.structure.names import Names
from tf2ms.structure.types import Block


def schedule_block(program: Program, name: str) -> Block:
    """A learning rate as a cell that takes the number of the step."""
    doc = "The graph's learning rate at each step."
    return formula_block(program, name, doc, ("global_step",))


def formula_block(program: Program, name: str, doc: str, inputs: tuple[str, ...]) -> Block:
    """A program as a class; `inputs` names what its `construct` takes."""
    body = ordered(program)
    attributes = distinct(body.steps, [default_name(step) for step in body.steps])
    names: dict[Tensor, str] = dict(zip(program.inputs, inputs, strict=True))
    taken = Names(inputs)
    for step, attribute in zip(body.steps, attributes, strict=True):
        for tensor in step.outputs:
            names[tensor] = taken.take(attribute)
    return Block(name, doc, (), {}, body, tuple(attributes), names)
