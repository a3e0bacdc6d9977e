"""The structured program must be the flat one: same steps, same arguments, same wiring, same weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from tf2ms.errors import Tf2msError
from tf2ms.graph import Tensor
from tf2ms.rules.types import Program, Step, Value
from tf2ms.structure.groups import arguments_of
from tf2ms.structure.types import Argument, Block, BlockLayer, Function, weight_key


class StructureError(Tf2msError):
    """The structured program differs from the flat one: a defect of tf2ms, never of the graph."""


def check_equal(flat: Program, structured: Program, functions: Mapping[str, Function]) -> None:
    """Expands every class and function of `structured` and compares with `flat`, step by step.

    Raises: StructureError at the first difference.
    """
    wanted = {step.outputs: step for step in flat.steps}
    seen = set()
    renamed: dict[Tensor, Tensor] = {}
    for step in _expand(structured.steps, functions, renamed):
        other = wanted.get(step.outputs)
        if other is None or (step.form, step.inputs, step.flow) != (other.form, other.inputs, other.flow):
            raise StructureError(f"structuring changed '{step.outputs[0]}'; please report this graph")
        if arguments_of(step) != arguments_of(other) or _weights(step) != _weights(other):
            raise StructureError(f"structuring changed the arguments of '{step.outputs[0]}'; please report this graph")
        seen.add(step.outputs)
    if len(seen) < len(wanted) or flat.outputs != structured.outputs:
        raise StructureError("structuring lost a step; please report this graph")


def _weights(step: Step) -> list[int]:
    return [id(weight) for _, weight in (*step.weights, *(step.layer.weights if step.layer else ()))]


def _expand(
    steps: tuple[Step, ...], functions: Mapping[str, Function], renamed: dict[Tensor, Tensor]
) -> Iterator[Step]:
    """The steps of every instance, with arguments and tensors put in for the parameters of their class."""
    for step in steps:
        layer = step.layer
        if isinstance(layer, BlockLayer) and layer.block is not None:
            given = {**layer.block.defaults, **dict(layer.arguments)}
            yield from _expand(_instance(layer.block, step, given, layer.inner), functions, renamed)
        elif step.op in functions and layer is None:
            yield from _expand(tuple(_function(functions[step.op], step)), functions, renamed)
        else:
            yield step


def _instance(block: Block, call: Step, given: Mapping[str, Value], inner: tuple[Step, ...]) -> tuple[Step, ...]:
    """The class's own steps with this instance's arguments, tensors and weights: the class decides, not `inner`."""
    tensors = dict(zip(block.program.inputs, call.inputs, strict=True))
    for own, actual in zip(block.program.steps, inner, strict=True):
        tensors.update(zip(own.outputs, actual.outputs, strict=True))
    if tuple(tensors[tensor] for tensor in block.program.outputs) != call.outputs:
        raise StructureError(f"class {block.name} returns other tensors than its use '{call.outputs[0]}'")
    result = []
    for own, actual in zip(block.program.steps, inner, strict=True):
        layer = actual.layer
        if [weight_key(weight) for _, weight in own.weights] != [weight_key(weight) for _, weight in actual.weights]:
            raise StructureError(f"class {block.name} holds another weight than its use '{call.outputs[0]}'")
        if own.layer is not None and layer is not None:
            filled = tuple((name, _fill(value, given)) for name, value in own.layer.arguments)
            layer = replace(layer, arguments=filled)
        result.append(
            Step(
                actual.outputs,
                own.form,
                tuple(tensors[tensor] for tensor in own.inputs),
                layer,
                actual.label,
                actual.origins,
                actual.op,
                actual.weights,
            )
        )
    return tuple(result)


def _fill(value: Value, given: Mapping[str, Value]) -> Value:
    return given[value.text] if isinstance(value, Argument) else value


def _function(function: Function, call: Step) -> Iterator[Step]:
    """A function's steps under the tensors of its call; what lies inside is named by the call's origins."""
    tensors = dict(zip(function.program.inputs, call.inputs, strict=True))
    places = list(call.origins)
    for own in function.program.steps:
        names = tuple(places[: len(own.origins)])
        del places[: len(own.origins)]
        last = own.origins.index(own.outputs[0].node)  # of a call, the place of what the function returns
        outputs = tuple(Tensor(names[last], tensor.index) for tensor in own.outputs)
        tensors.update(zip(own.outputs, outputs, strict=True))
        yield Step(outputs, own.form, tuple(tensors[t] for t in own.inputs), None, (), names, own.op)
