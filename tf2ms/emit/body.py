"""A program as the statements of a `construct`: what to name, what to nest, when to go on with `x`."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

from tf2ms.emit.expression import fill, name
from tf2ms.graph import Tensor
from tf2ms.rules.types import Program, Step
from tf2ms.structure.types import weight_attribute

_MAX_NESTED = 3
"""So many layers in a row are one expression; a longer chain goes on with `x = …`, a few a line."""

_MAX_LENGTH = 400
"""An expression longer than this gets a name, so that formulas of a thousand terms stay readable."""


@dataclass
class _Pending:
    """A value not yet named: its expression, the named tensors inside, and how many layers deep it is."""

    expression: ast.expr
    reads: tuple[Tensor, ...]
    layers: int


def statements(
    program: Program,
    names: Mapping[Tensor, str],
    attributes: tuple[str, ...],
    prefix: str = "self.",
    reserved: frozenset[str] = frozenset(),
    optional: Mapping[int, int] | None = None,
) -> list[str]:
    """The body's lines, `return` last.

    Args:
        program: the steps.
        names: the preferred variable of each tensor.
        attributes: the attribute of each step.
        prefix: leads to the attributes.
        reserved: names that no variable may hide, such as the module's functions.
        optional: steps without a layer that are there only where their attribute says so, with the input handed on.
    """
    return _Writer(program, names, attributes, prefix, reserved, optional or {}).write()


class _Writer:
    def __init__(
        self,
        program: Program,
        names: Mapping[Tensor, str],
        attributes: tuple[str, ...],
        prefix: str,
        reserved: frozenset[str],
        optional: Mapping[int, int],
    ):
        self.program = program
        self.optional = optional
        self.reserved = reserved
        self.names = names
        self.attributes = attributes
        self.prefix = prefix
        self.readers: dict[Tensor, list[Step | None]] = {}
        for step in program.steps:
            for tensor in step.inputs:
                self.readers.setdefault(tensor, []).append(step)
        for tensor in program.outputs:
            self.readers.setdefault(tensor, []).append(None)
        self.left = {tensor: len(users) for tensor, users in self.readers.items()}
        self.variable = {tensor: names[tensor] for tensor in program.inputs}
        self.holder = {names[tensor]: tensor for tensor in program.inputs}
        self.pending: dict[Tensor, _Pending] = {}
        self.lines: list[str] = []

    def write(self) -> list[str]:
        for place, (step, attribute) in enumerate(zip(self.program.steps, self.attributes, strict=True)):
            operands = [self._take(tensor) for tensor in step.inputs]
            places = {weight: self.prefix + weight_attribute(attribute, weight) for weight, _ in step.weights}
            expression = fill(step.form, [o.expression for o in operands], {**places, "layer": self.prefix + attribute})
            if place in self.optional:
                flag, otherwise = name(self.prefix + attribute), operands[self.optional[place]].expression
                expression = ast.IfExp(flag, expression, otherwise)
            reads = tuple(tensor for operand in operands for tensor in operand.reads)
            layers = max((operand.layers for operand in operands), default=0) + (step.layer is not None)
            value = _Pending(expression, reads, layers)
            if len(step.outputs) == 1 and self._may_nest(step, value):
                self.pending[step.outputs[0]] = value
            else:
                self._assign(step, value)
        self._return()
        return self.lines

    def _take(self, tensor: Tensor) -> _Pending:
        """The tensor as an operand: its pending expression, or its variable."""
        if tensor in self.pending:
            return self.pending.pop(tensor)
        return _Pending(name(self.variable[tensor]), (tensor,), 0)

    def _may_nest(self, step: Step, value: _Pending) -> bool:
        """Whether the value goes straight into the expression that reads it."""
        users = self.readers.get(step.outputs[0], [])
        if len(users) != 1 or len(ast.unparse(value.expression)) > _MAX_LENGTH:
            return False
        user = users[0]
        if user is None:
            return self._returns_nested()
        if user.form.count(f"{{{user.inputs.index(step.outputs[0])}}}") > 1 and not isinstance(
            value.expression, ast.Name
        ):
            return False  # it would be written, and computed, twice
        if len(user.inputs) > 1:
            return value.layers == 0
        if len(step.inputs) > 2 and user.layer is not None:
            return False  # a join of several branches deserves a line of its own
        return value.layers + (user.layer is not None) <= _MAX_NESTED or step.layer is None

    def _returns_nested(self) -> bool:
        """Whether every output is a value read by nothing else, so that `return` can hold them all."""
        producer = {tensor: step for step in self.program.steps for tensor in step.outputs}
        outputs = self.program.outputs
        return len(outputs) <= 3 and all(
            tensor in producer and len(producer[tensor].outputs) == 1 and len(self.readers[tensor]) == 1
            for tensor in outputs
        )

    def _assign(self, step: Step, value: _Pending) -> None:
        for tensor in value.reads:
            self.left[tensor] -= 1
        targets = []
        for tensor in step.outputs:
            if not self.readers.get(tensor):
                targets.append("_")
                continue
            chosen = self._variable_for(tensor, len(step.outputs))
            self.variable[tensor] = chosen
            targets.append(chosen)
        target = ", ".join(targets)
        if len(step.outputs) == 1 and not self.readers.get(step.outputs[0]):
            return
        self.lines.append(f"{target} = {ast.unparse(value.expression)}")

    def _variable_for(self, tensor: Tensor, outputs: int) -> str:
        """`x` where the value carries the chain on and the old `x` is done with; else the tensor's own name."""
        users = self.readers[tensor]
        carries_on = outputs == 1 and all(user is not None and len(user.inputs) == 1 for user in users)
        chosen = "x" if carries_on and self._is_free("x") else self.names[tensor]
        number = 2
        while not self._is_free(chosen):
            chosen, number = f"{self.names[tensor]}_{number}", number + 1
        self.holder[chosen] = tensor
        return chosen

    def _is_free(self, variable: str) -> bool:
        """Whether the variable holds nothing that is still to be read."""
        if variable in self.reserved:
            return False
        return variable not in self.holder or not self.left.get(self.holder[variable])

    def _return(self) -> None:
        outputs = [self._take(tensor) for tensor in self.program.outputs]
        self.lines.append(f"return {', '.join(ast.unparse(output.expression) for output in outputs)}")
