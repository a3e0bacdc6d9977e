"""Conditions and loops as statements."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tf2ms.emit.expression import fill
from tf2ms.graph import Tensor
from tf2ms.rules.types import Program, Step

if TYPE_CHECKING:
    from tf2ms.emit.body import Pending, Writer

_INDENT = "    "


def write_flow(writer: Writer, step: Step) -> None:
    """The statements of a step with bodies, and the variables that hold its outputs afterwards."""
    flow = step.flow
    if flow is None:
        return
    operands = [writer.take(tensor) for tensor in step.inputs]
    attribute = writer.attributes[id(step)]
    places = {name: writer.prefix + _weight(attribute, name) for name, _ in step.weights}
    form = fill(step.form, [operand.expression for operand in operands], places)
    if flow.kind == "if":
        _write_if(writer, step, form, operands)
    else:
        _write_loop(writer, step, form, operands)


def _weight(attribute: str, name: str) -> str:
    from tf2ms.structure.types import weight_attribute

    return weight_attribute(attribute, name)


def _write_if(writer: Writer, step: Step, decides: ast.expr, operands: Sequence[Pending]) -> None:
    bodies = step.flow.bodies if step.flow else ()
    blocks = [_branch(writer, step, body) for body in bodies]
    _read(writer, operands)
    targets = [writer.variable_for(tensor, 2) for tensor in step.outputs]
    writer.owned -= set(targets)
    for index, (body, inner) in enumerate(zip(bodies, blocks, strict=True)):
        inner.nests_outputs = True
        inner.write()
        _hand_over(inner, body.outputs, targets)
        writer.lines.append(_head(index, len(bodies), decides, inner.lines))
        writer.lines += _indented(inner.lines) or [f"{_INDENT}pass"]
    writer.variable.update(zip(step.outputs, targets, strict=True))
    _drop_empty_else(writer)


def _head(index: int, count: int, decides: ast.expr, lines: list[str]) -> str:
    if index == count - 1 and index:
        return "else:"
    test = ast.unparse(decides)
    if count > 2 or index:
        test = ast.unparse(ast.Compare(decides, [ast.Eq()], [ast.Constant(index)]))
    return f"{'elif' if index else 'if'} {test}:"


def _drop_empty_else(writer: Writer) -> None:
    if writer.lines[-2:] == ["else:", f"{_INDENT}pass"]:
        del writer.lines[-2:]


def _branch(writer: Writer, step: Step, body: Program) -> Writer:
    """A branch may use again what nothing behind it reads."""
    return writer.inside(body, [tensor for tensor in writer.variable if writer.left.get(tensor)])


def _read(writer: Writer, operands: Sequence[Pending]) -> None:
    for operand in operands:
        for tensor in operand.reads:
            if tensor in writer.left:
                writer.left[tensor] -= 1


def _write_loop(writer: Writer, step: Step, form: ast.expr, operands: Sequence[Pending]) -> None:
    """The variables get what they start with, then the loop; what is read inside stays as it is all the while."""
    flow = step.flow
    if flow is None or not isinstance(form, ast.Tuple):
        return
    live = [tensor for tensor in writer.variable if writer.left.get(tensor)]
    initial = form.elts[:-1] if flow.kind == "for" else form.elts
    body = flow.bodies[-1]
    params = body.inputs[1:] if flow.kind == "for" else body.inputs
    inside = {tensor for inner in flow.bodies for tensor in _outer(inner)}
    targets = []
    passing = {writer.variable[tensor] for tensor in live if tensor not in inside and writer.left[tensor] == 1}
    for tensor, start in zip(step.outputs, initial, strict=True):
        targets.append(_loop_variable(writer, tensor, start, passing))
    _assign_all(writer, dict(zip(targets, initial, strict=True)))
    _read(writer, operands)
    writer.variable.update(zip(params, targets, strict=True))
    inner = writer.inside(body, live)
    inner.variable.update(zip(params, targets, strict=True))
    inner.holder = dict(zip(targets, params, strict=True))
    if flow.kind == "for":
        counter = _fresh(writer, writer.names[body.inputs[0]], targets)
        inner.variable[body.inputs[0]] = counter
        inner.reserved |= {counter}
        head = [f"for {counter} in {ast.unparse(form.elts[-1])}:"]
        again: list[str] = []
    else:
        head, again = _while(writer, flow.bodies[0], params, targets, live)
    inner.owned -= {
        target for target, *pair in zip(targets, params, body.outputs, strict=True) if _shared(inner, *pair)
    }
    inner.nests_outputs = True
    inner.write()
    _hand_over(inner, body.outputs, targets)
    writer.lines += [*again, *head, *_indented([*inner.lines, *again])]
    writer.owned = (writer.owned & inner.owned) | (set(targets) & inner.owned)
    writer.variable.update(zip(step.outputs, targets, strict=True))
    writer.holder.update(zip(targets, step.outputs, strict=True))


def reads_inside(step: Step, tensor: Tensor) -> bool:
    """Whether a body of the step reads the tensor."""
    return any(tensor in _outer(body) for body in (step.flow.bodies if step.flow else ()))


def _shared(inner: Writer, param: Tensor, output: Tensor) -> bool:
    """Whether a round reads what it was given, or what it makes of that, in more than one place."""
    return len(inner.readers.get(param, [])) > 1 or len(inner.readers.get(output, [])) > 1


def _outer(program: Program) -> set[Tensor]:
    """What the program reads of those around it."""
    made = {*program.inputs, *(tensor for step in program.steps for tensor in step.outputs)}
    read = {*program.outputs, *(tensor for step in program.steps for tensor in step.inputs)}
    return read - made


def _loop_variable(writer: Writer, tensor: Tensor, start: ast.expr, passing: set[str]) -> str:
    """Its own name, or one with a number where another value that is still read has that.

    What it starts with may have the name already, if nobody else reads that: it is `passing`.
    """
    wanted = writer.names[tensor]
    chosen, number = wanted, 2
    if isinstance(start, ast.Name) and start.id == wanted and wanted in passing:
        writer.holder[chosen] = tensor
        return chosen
    while not writer.is_free(chosen):
        chosen, number = f"{wanted}_{number}", number + 1
    writer.holder[chosen] = tensor
    return chosen


def _fresh(writer: Writer, wanted: str, taken: Sequence[str]) -> str:
    chosen, number = wanted, 2
    while chosen in taken or not writer.is_free(chosen):
        chosen, number = f"{wanted}_{number}", number + 1
    return chosen


def _while(
    writer: Writer, condition: Program, params: Sequence[Tensor], targets: Sequence[str], live: Sequence[Tensor]
) -> tuple[list[str], list[str]]:
    """(the head, the lines that compute what it tests: before the loop and at the end of each round)."""
    test = writer.inside(condition, live)
    test.variable.update(zip(params, targets, strict=True))
    test.reserved |= set(targets)
    test.nests_outputs = True
    test.write()
    return [f"while {ast.unparse(test.take(condition.outputs[0]).expression)}:"], test.lines


def _hand_over(inner: Writer, outputs: Sequence[Tensor], targets: Sequence[str]) -> None:
    """The end of a round or branch: each variable gets its new value."""
    values = {target: inner.take(tensor).expression for target, tensor in zip(targets, outputs, strict=True)}
    _assign_all(inner, values)


def _assign_all(writer: Writer, values: dict[str, ast.expr]) -> None:
    """Assigns all values as if at once: in an order in which none reads a variable that was given away before."""
    waiting = dict(values)
    while waiting:
        for target in waiting:
            others = [other for name, other in waiting.items() if name != target]
            if not any(target in _names(other) for other in others):
                break
        else:  # they change places
            swapped = list(waiting)
            writer.lines.append(f"{', '.join(swapped)} = {', '.join(ast.unparse(v) for v in waiting.values())}")
            writer.owned -= set(swapped)
            return
        writer.assign([target], waiting.pop(target))


def _names(expression: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(expression) if isinstance(node, ast.Name)}


def _indented(lines: Sequence[str]) -> list[str]:
    return [_INDENT + line for line in lines]
