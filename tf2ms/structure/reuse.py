"""Parts of a network that are called more than once with the same weights: one class, one attribute, several calls.

The discriminator of a GAN sees real and generated data, both arms of a siamese network are one. The calls are found by
their weights: from a layer that is called more than once the walk goes on in all calls at the same time, as far as
they are alike.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tf2ms.graph import Tensor
from tf2ms.rules.types import Program, Step, held_weights, layer_key
from tf2ms.structure.blocks import default_name, distinct, ordered
from tf2ms.structure.groups import Body, arguments_of, has_weights, kind_of
from tf2ms.structure.names import Names, class_name, identifier
from tf2ms.structure.training import shared_attributes
from tf2ms.structure.types import Block, BlockLayer, ChainLayer

_MAX_STEPS = 4096
"""A part of more steps than this is left flat."""


@dataclass(frozen=True)
class _Part:
    """The steps of each call, row by row in the order of the first; what each call reads and gives."""

    calls: tuple[tuple[int, ...], ...]
    inputs: tuple[tuple[Tensor, ...], ...]
    outputs: tuple[tuple[Tensor, ...], ...]
    label: tuple[str, ...]


def make_reused(
    program: Program,
    blocks: list[Block],
    class_names: Names,
    grouped: Callable[[Program], Program],
    owners: Iterable[frozenset[str]] = (),
) -> Program:
    """The program with each such part as calls of one class.

    Args:
        program: the network.
        blocks: takes the classes.
        class_names: the names that classes may not have.
        grouped: finds the classes inside a part.
        owners: sets of variables that are trained apart, each by a loss of its own; such a part is a class though it
            is called once.
    """
    tried: set[object] = set()
    waiting = list(owners)
    while True:
        found = _next_part(Body(program), tried)
        while found is None and waiting:
            found = _owned(Body(program), waiting.pop(0))
        if found is None:
            return program
        body = Body(program)
        first = Program(tuple(body.steps[i] for i in found.calls[0]), found.inputs[0], found.outputs[0])
        inner = grouped(ordered(first))
        several = len(found.calls) > 1
        doc = "Called more than once with the same weights." if several else "What a loss of its own trains."
        block = _block(inner, found.label, doc, class_names)
        blocks.append(block)
        calls = [_call(body, block, found, number) for number in range(len(found.calls))]
        gone = {index for call in found.calls for index in call}
        kept = [step for index, step in enumerate(program.steps) if index not in gone]
        program = ordered(Program((*kept, *calls), program.inputs, program.outputs))


# -- finding -----------------------------------------------------------------------------------------------------------


def _next_part(body: Body, tried: set[object]) -> _Part | None:
    """The first part that is more than one layer; keys of layers that lead to none go into `tried`."""
    calls: dict[object, list[int]] = defaultdict(list)
    for index, step in enumerate(body.steps):
        if (key := layer_key(step)) is not None:
            calls[key].append(index)
    for key, indices in calls.items():
        if len(indices) > 1 and key not in tried:
            tried.add(key)
            part = _part(body, _grown(body, tuple(indices)))
            if part is not None:
                return part
    return None


def _owned(body: Body, variables: frozenset[str]) -> _Part | None:
    """The layers of these variables and what lies between them, if they have one scope."""
    own = {i for i, step in enumerate(body.steps) if any(weight.variable in variables for weight in held_weights(step))}
    label = _label(body.steps[index].label for index in own)
    if not own or not label:
        return None
    behind, before = set(own), set(own)
    for index in range(len(body.steps)):
        if any(source in behind for source in body.sources(index)):
            behind.add(index)
    for index in reversed(range(len(body.steps))):
        if index in before:
            before.update(body.sources(index))
    named = {i for i in behind if body.steps[i].label[: len(label)] == label and not has_weights(body.steps[i])}
    return _part(body, [(index,) for index in sorted((behind & before) | named)])


def _grown(body: Body, seed: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The rows of alike steps, one of each call, that hang together with the seed."""
    rows, taken, waiting = [seed], set(seed), [seed]
    while waiting and len(rows) < _MAX_STEPS:
        row = waiting.pop(0)
        for other in (*_behind(body, row, taken), *_before(body, row, taken)):
            if taken.isdisjoint(other):
                taken.update(other)
                rows.append(other)
                waiting.append(other)
    return rows


def _behind(body: Body, row: tuple[int, ...], taken: set[int]) -> Iterator[tuple[int, ...]]:
    """Rows that read this one in the same place."""
    for outputs in zip(*(body.steps[index].outputs for index in row), strict=True):
        readers = [_by_kind(body, tensor, taken) for tensor in outputs]
        for kind, (first, *more) in readers[0].items():
            found = [own.get(kind, []) for own in readers]
            if not more and all(len(own) == 1 for own in found) and len({own[0] for own in found}) == len(row):
                yield (first, *(own[0] for own in found[1:]))


def _by_kind(body: Body, tensor: Tensor, taken: set[int]) -> dict[Any, list[int]]:
    found: dict[Any, list[int]] = defaultdict(list)
    for index in body.readers.get(tensor, ()):
        if index >= 0 and index not in taken:
            places = tuple(place for place, own in enumerate(body.steps[index].inputs) if own == tensor)
            found[(_kind(body.steps[index]), places)].append(index)
    return found


def _before(body: Body, row: tuple[int, ...], taken: set[int]) -> Iterator[tuple[int, ...]]:
    """Rows that this one reads in the same place."""
    for tensors in zip(*(body.steps[index].inputs for index in row), strict=True):
        sources = tuple(body.producer.get(tensor, -1) for tensor in tensors)
        fits = -1 not in sources and len(set(sources)) == len(row) and taken.isdisjoint(sources)
        if fits and len({_kind(body.steps[index]) for index in sources}) == 1:
            yield sources


def _kind(step: Step) -> Any:
    """Equal for steps that do the same with the same weights."""
    key = layer_key(step)
    values = tuple(sorted((name, repr(value)) for name, value in arguments_of(step).items()))
    return (step.form, kind_of(step), values, len(step.outputs), key if has_weights(step) else None)


def _part(body: Body, rows: Sequence[tuple[int, ...]]) -> _Part | None:
    """The rows as a part: without what does not belong to its layers; None if it is one layer or no single call."""
    label = _label(body.steps[row[0]].label for row in rows if has_weights(body.steps[row[0]]))
    rows = _trimmed(body, rows, label)
    if sum(has_weights(body.steps[row[0]]) for row in rows) < 2 or any(body.steps[r[0]].flow for r in rows):
        return None
    rows = sorted(rows)
    calls = tuple(zip(*rows, strict=True))
    if not all(body._is_convex(set(call)) for call in calls):
        return None
    inside = [set(call) for call in calls]
    inputs: dict[tuple[Tensor, ...], None] = {}
    outputs: list[tuple[Tensor, ...]] = []
    for row in rows:
        for tensors in zip(*(body.steps[index].inputs for index in row), strict=True):
            own = [body.producer.get(tensor) in members for tensor, members in zip(tensors, inside, strict=True)]
            if any(own) != all(own):
                return None
            if not any(own):
                inputs[tensors] = None
        for tensors in zip(*(body.steps[index].outputs for index in row), strict=True):
            users = [set(body.readers.get(t, ())) - members for t, members in zip(tensors, inside, strict=True)]
            if any(users):
                outputs.append(tensors)
    if len({tensors[0] for tensors in inputs}) < len(inputs):
        return None
    return _Part(calls, tuple(zip(*inputs, strict=True)), tuple(zip(*outputs, strict=True)), label)


def _trimmed(body: Body, rows: Sequence[tuple[int, ...]], label: tuple[str, ...]) -> list[tuple[int, ...]]:
    """The rows without steps before and behind all weights that are not in the scope of the others."""
    kept = {row[0]: row for row in rows}

    def loose(index: int) -> bool:
        step = body.steps[index]
        inside = bool(label) and step.label[: len(label)] == label
        sources = [source for source in body.sources(index) if source in kept]
        users = [user for tensor in step.outputs for user in body.readers.get(tensor, ()) if user in kept]
        return not has_weights(step) and not inside and (not sources or (not users and step.layer is None))

    while gone := [index for index in kept if loose(index)]:
        for index in gone:
            del kept[index]
    return list(kept.values())


def _label(labels: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """The scope that all are in."""
    found = list(labels)
    shortest = min((len(label) for label in found), default=0)
    depth = next((d for d in range(shortest) if len({label[d] for label in found}) > 1), shortest)
    return found[0][: min(depth, shortest - 1)] if found and shortest else ()


# -- the class ---------------------------------------------------------------------------------------------------------


def _block(program: Program, label: tuple[str, ...], doc: str, class_names: Names) -> Block:
    own = [
        identifier("_".join(_inner(step.label, label))) if _inner(step.label, label) else "" for step in program.steps
    ]
    wanted = [name or default_name(step) for name, step in zip(own, program.steps, strict=True)]
    attributes = distinct(program.steps, wanted)
    taken = Names()
    names = {
        tensor: taken.take("x" if len(program.inputs) == 1 else f"x{i + 1}") for i, tensor in enumerate(program.inputs)
    }
    for step, attribute in zip(program.steps, attributes, strict=True):
        for tensor in step.outputs:
            names[tensor] = attribute if len(step.outputs) == 1 else f"{attribute}_{tensor.index}"
    name = class_names.take(class_name(label[-1] if label else "Shared"))
    held = shared_attributes(program.steps, attributes)
    return Block(name, doc, (), {}, program, held, names)


def _inner(label: tuple[str, ...], scope: tuple[str, ...]) -> tuple[str, ...]:
    return label[len(scope) :] if label[: len(scope)] == scope else label


def _call(body: Body, block: Block, part: _Part, number: int) -> Step:
    """The step that stands for one call."""
    steps = [body.steps[index] for index in part.calls[number]]
    partners: dict[tuple[Tensor, ...], Step] = {}
    place: dict[Tensor, Tensor] = dict(zip(part.inputs[0], part.inputs[number], strict=True))
    for index, step in zip(part.calls[0], steps, strict=True):
        partners[body.steps[index].outputs] = step
        place.update(zip(body.steps[index].outputs, step.outputs, strict=True))
    layer = BlockLayer(
        block.name, (), block=block, inner=tuple(_moved(s, place, partners) for s in block.program.steps)
    )
    inputs, outputs = part.inputs[number], part.outputs[number]
    label = _label(step.label for step in steps if has_weights(step)) or part.label
    places = ", ".join(f"{{{index}}}" for index in range(len(inputs)))
    origins = tuple(name for step in steps for name in step.origins)
    return Step(outputs, f"{{layer}}({places})", inputs, layer, label, origins, block.name)


def _moved(step: Step, place: Mapping[Tensor, Tensor], partners: Mapping[tuple[Tensor, ...], Step]) -> Step:
    """The step of the first call as another call has it."""
    layer = step.layer
    if isinstance(layer, BlockLayer):
        layer = replace(layer, inner=tuple(None if s is None else _moved(s, place, partners) for s in layer.inner))
    elif isinstance(layer, ChainLayer):
        layer = replace(layer, chain=tuple(_moved(link, place, partners) for link in layer.chain))
    else:
        return partners[step.outputs]
    outputs, inputs = (tuple(place[tensor] for tensor in own) for own in (step.outputs, step.inputs))
    return replace(step, outputs=outputs, inputs=inputs, layer=layer)
