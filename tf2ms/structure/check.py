"""The structured program must be the flat one: same steps, same arguments, same wiring, same weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from tf2ms.errors import Tf2msError
from tf2ms.graph import Tensor
from tf2ms.rules.types import Program, Step, Value
from tf2ms.structure.arguments import evaluate
from tf2ms.structure.chains import table_arguments
from tf2ms.structure.groups import arguments_of
from tf2ms.structure.types import Argument, Block, BlockLayer, Call, ChainLayer, Function, weight_key


class StructureError(Tf2msError):
    """The structured program differs from the flat one: a defect of tf2ms, never of the graph."""


def check_equal(flat: Program, structured: Program) -> None:
    """Expands every class, chain and function of `structured` and compares with `flat`, step by step.

    Raises: StructureError at the first difference.
    """
    wanted = {step.outputs: step for step in flat.steps}
    seen = set()
    for step in _expand(structured.steps):
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


def _expand(steps: Iterable[Step]) -> Iterator[Step]:
    """The steps of every instance, with arguments and tensors put in for the parameters of their class."""
    for step in steps:
        layer = step.layer
        if isinstance(layer, ChainLayer) and layer.table is not None:
            tensor = step.inputs[0]
            for link, given in zip(layer.chain, table_arguments(layer.table), strict=True):
                if link.inputs != (tensor,):
                    raise StructureError(f"'{link.outputs[0]}' does not follow '{tensor}' in its chain")
                yield from _expand(_instance(link, given))
                tensor = link.outputs[0]
            if (tensor,) != step.outputs:
                raise StructureError(f"the chain of '{step.outputs[0]}' ends in '{tensor}'")
        elif isinstance(layer, BlockLayer) and layer.block is not None:
            yield from _expand(_instance(step, {**layer.block.defaults, **dict(layer.arguments)}))
        elif isinstance(step, Call) and step.function is not None:
            yield from _expand(_called(step.function, step))
        else:
            yield step


def _instance(call: Step, given: Mapping[str, Value]) -> Iterator[Step]:
    """The class's own steps with this instance's arguments, tensors and weights: the class decides, not `inner`."""
    layer = call.layer
    assert isinstance(layer, BlockLayer) and layer.block is not None
    block = layer.block
    tensors = dict(zip(block.program.inputs, call.inputs, strict=True))
    for place, (own, actual) in enumerate(zip(block.program.steps, layer.inner, strict=True)):
        flag, handed_on = block.optional.get(place, (None, 0))
        if (flag is None or bool(evaluate(flag.text, given))) != (actual is not None):
            raise StructureError(f"class {block.name} has other parts than its use '{call.outputs[0]}'")
        if actual is None:
            tensors.update(dict.fromkeys(own.outputs, tensors[own.inputs[handed_on]]))
            continue
        _check_shapes(block, place, own, actual, given)
        yield _filled(block, own, actual, given, tuple(tensors[tensor] for tensor in own.inputs))
        tensors.update(zip(own.outputs, actual.outputs, strict=True))
    if tuple(tensors[tensor] for tensor in block.program.outputs) != call.outputs:
        raise StructureError(f"class {block.name} returns other tensors than its use '{call.outputs[0]}'")


def _check_shapes(block: Block, place: int, own: Step, actual: Step, given: Mapping[str, Value]) -> None:
    """Bare parameters must get the shapes that this instance's have."""
    for (name, weight), (_, other) in zip(own.weights, actual.weights, strict=True):
        shape = block.shapes.get((place, name), weight.shape)
        if tuple(_fill(size, given) for size in shape) != other.shape:
            raise StructureError(f"class {block.name} gives '{name}' another shape than '{actual.outputs[0]}' has")


def _filled(block: Block, own: Step, actual: Step, given: Mapping[str, Value], inputs: tuple[Tensor, ...]) -> Step:
    """The class's step as this instance has it."""
    if [weight_key(weight) for _, weight in own.weights] != [weight_key(weight) for _, weight in actual.weights]:
        raise StructureError(f"class {block.name} holds another weight than its use '{actual.outputs[0]}'")
    layer = actual.layer
    if own.layer is not None and layer is not None:
        arguments = tuple((name, _fill(value, given)) for name, value in own.layer.arguments)
        layer = replace(layer, arguments=arguments)
    return replace(actual, form=own.form, inputs=inputs, layer=layer)


def _fill(value: Value, given: Mapping[str, Value]) -> Value:
    return evaluate(value.text, given) if isinstance(value, Argument) else value


def _called(function: Function, call: Call) -> Iterator[Step]:
    """A function's steps under the tensors of its call."""
    tensors = dict(zip(function.program.inputs, call.inputs, strict=True))
    for own, actual in zip(function.program.steps, call.inner, strict=True):
        yield replace(actual, form=own.form, inputs=tuple(tensors[tensor] for tensor in own.inputs))
        tensors.update(zip(own.outputs, actual.outputs, strict=True))
    if tuple(tensors[tensor] for tensor in function.program.outputs) != call.outputs:
        raise StructureError(f"function {function.name} returns another tensor than '{call.outputs[0]}'")
