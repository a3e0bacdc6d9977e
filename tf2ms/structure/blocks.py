"""A family of equal groups becomes one class: what differs among them becomes its constructor's parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tf2ms.graph import Tensor
from tf2ms.rules.types import Layer, Program, Step, Value
from tf2ms.structure.groups import Body, Group, arguments_of, unit_name
from tf2ms.structure.names import Names, agreed, class_name, identifier, plain_text, stem
from tf2ms.structure.types import Argument, Block, BlockLayer

Slot = tuple[int, str]
"""(step within the group, argument)."""

_CHANNELS = frozenset({"in_channels", "out_channels", "num_features"})
_SHORT = {
    "nn.Conv2d": "conv",
    "nn.Dense": "dense",
    "nn.BatchNorm2d": "bn",
    "nn.MaxPool2d": "pool",
    "nn.AvgPool2d": "pool",
}


@dataclass(frozen=True)
class _Parameter:
    """A constructor parameter and the slots it fills."""

    name: str
    slots: tuple[Slot, ...]
    default: Value
    has_default: bool


def make_block(body: Body, family: Sequence[Group], class_names: Names) -> tuple[Block, list[Step]]:
    """(the class, for each instance the step that calls it)."""
    instances = [[body.steps[index] for index in group.steps] for group in family]
    attributes = _attributes(family, instances)
    parameters = _parameters(family[0], instances, attributes)
    name = class_names.take(_class_name(family, instances[0]))
    symbolic = _symbolic(instances[0], parameters)
    block = Block(
        name=name,
        doc=_doc(family, instances[0]),
        parameters=tuple(parameter.name for parameter in parameters),
        defaults={parameter.name: parameter.default for parameter in parameters if parameter.has_default},
        program=Program(tuple(symbolic), family[0].inputs, family[0].outputs),
        attributes=tuple(attributes),
        names=_local_names(instances[0], attributes, family[0].inputs),
    )
    return block, [_call(block, group, steps, parameters) for group, steps in zip(family, instances, strict=True)]


def replace_groups(program: Program, family: Sequence[Group], calls: Sequence[Step]) -> Program:
    """The program with each group's steps replaced by one call, ordered again."""
    gone = {index for group in family for index in group.steps}
    steps = [step for index, step in enumerate(program.steps) if index not in gone] + list(calls)
    return ordered(Program(tuple(steps), program.inputs, program.outputs))


def ordered(program: Program) -> Program:
    """The steps depth first from the outputs, so that a branch is finished before the next begins."""
    producer = {tensor: step for step in program.steps for tensor in step.outputs}
    done: dict[int, Step] = {}
    for output in program.outputs:
        stack = [producer[output]] if output in producer else []
        opened: set[int] = set()
        while stack:
            step = stack[-1]
            pending = []
            if id(step) not in done and id(step) not in opened:
                opened.add(id(step))
                sources = [producer[tensor] for tensor in step.inputs if tensor in producer]
                pending = [source for source in sources if id(source) not in done]
            if pending:
                stack.extend(reversed(pending))
            else:
                done.setdefault(id(stack.pop()), step)
    return Program(tuple(done.values()), program.inputs, program.outputs)


# -- names -----------------------------------------------------------------------------------------------------------


def _attributes(family: Sequence[Group], instances: Sequence[Sequence[Step]]) -> list[str]:
    """A name for each step of the class: what its instances call it, without what names the instance itself."""
    if unit_name(instances[0]) is not None:
        return distinct(instances[0], [default_name(step) for step in instances[0]])
    wanted = []
    for place, step in enumerate(instances[0]):
        local = [_local_label(steps[place].label, group.label) for group, steps in zip(family, instances, strict=True)]
        known = [name for name in local if name]
        wanted.append(agreed(known) if known else default_name(step))
    return distinct(instances[0], wanted)


def distinct(steps: Sequence[Step], wanted: Sequence[str]) -> list[str]:
    """A name of its own for each step. Layers choose first: their names last, in checkpoints and reviews."""
    names = Names()
    chosen: dict[int, str] = {}
    for place in sorted(range(len(steps)), key=lambda place: steps[place].layer is None and not steps[place].weights):
        chosen[place] = names.take(wanted[place])
    return [chosen[place] for place in range(len(steps))]


def _local_label(label: tuple[str, ...], group: tuple[str, ...]) -> str:
    """`out0` for icp3_out0 inside icp3; empty if the step has no name of its own."""
    text, prefix = "_".join(label), "_".join(group)
    if not text or text == prefix:
        return ""
    return identifier(text.removeprefix(prefix).strip("_") if prefix and text.startswith(prefix) else text)


def default_name(step: Step) -> str:
    """A name for a step that TensorFlow left without one: conv, relu, concat."""
    if step.layer is not None:
        known = _SHORT.get(step.layer.cls)
        return known or identifier(step.layer.cls.rpartition(".")[2])
    return identifier(step.op.removesuffix("V2"))


def _local_names(steps: Sequence[Step], attributes: Sequence[str], inputs: Sequence[Tensor]) -> Mapping[Tensor, str]:
    names = dict(zip(inputs, ["x"] if len(inputs) == 1 else [f"x{i}" for i in range(1, len(inputs) + 1)], strict=True))
    for step, attribute in zip(steps, attributes, strict=True):
        for tensor in step.outputs:
            names[tensor] = attribute if len(step.outputs) == 1 else f"{attribute}_{tensor.index}"
    return names


def _class_name(family: Sequence[Group], steps: Sequence[Step]) -> str:
    unit = unit_name(steps)
    if unit:
        return unit
    stems = {stem(group.label[-1]) if group.label else "" for group in family}
    return class_name(stems.pop()) if len(stems) == 1 and "" not in stems else "Block"


def _doc(family: Sequence[Group], steps: Sequence[Step]) -> str:
    """One sentence: what the unit is, or which scopes of TensorFlow it stands for."""
    unit = unit_name(steps)
    if unit:
        words = {"nn.Conv2d": "Convolution", "nn.Dense": "Dense layer", "nn.BatchNorm2d": "batch normalisation"}
        parts = [words.get(step.layer.cls, step.layer.cls.removeprefix("nn.")) for step in steps if step.layer]
        return f"{parts[0]}, then {' and '.join(parts[1:])}."
    labels = [plain_text("/".join(group.label)) for group in family if group.label]
    where = f"{labels[0]} … {labels[-1]}" if len(labels) > 3 else ", ".join(labels) or "A block that recurs"
    last = steps[-1]
    if last.op == "ConcatV2" and len(last.inputs) > 1:
        return f"{where}: {len(last.inputs)} branches, joined on one axis."
    return f"{where} of the TensorFlow graph."


# -- parameters --------------------------------------------------------------------------------------------------------


def _parameters(group: Group, instances: Sequence[Sequence[Step]], attributes: Sequence[str]) -> list[_Parameter]:
    """One parameter for each set of slots that differ among the instances, but are alike in each of them."""
    vectors: dict[tuple[str, tuple[Value, ...]], list[Slot]] = {}
    for place, step in enumerate(instances[0]):
        for argument in arguments_of(step):
            values = tuple(arguments_of(steps[place])[argument] for steps in instances)
            if len(set(values)) > 1:
                kind = "channels" if _is_channels(argument, step) else argument
                vectors.setdefault((kind, values), []).append((place, argument))
    names = Names(["self"])
    required: list[_Parameter] = []
    optional: list[_Parameter] = []
    for (_, values), slots in vectors.items():
        name = names.take(_parameter_name(group, instances[0], attributes, slots, vectors.values()))
        place, argument = slots[0]
        defaults = dict(instances[0][place].layer.defaults) if instances[0][place].layer else {}  # type: ignore[union-attr]
        usual = argument in defaults and defaults[argument] in values
        parameter = _Parameter(name, tuple(slots), defaults.get(argument), usual)
        (optional if usual else required).append(parameter)
    return required + optional


def _is_channels(argument: str, step: Step) -> bool:
    """Whether the argument counts channels; inside a class those are named after its parts."""
    return argument in _CHANNELS or (isinstance(step.layer, BlockLayer) and argument not in dict(step.layer.defaults))


def _parameter_name(
    group: Group,
    steps: Sequence[Step],
    attributes: Sequence[str],
    slots: Sequence[Slot],
    all_slots: object,
) -> str:
    entry = [steps[place] for place, argument in slots if argument == "in_channels"]
    if any(tensor in group.inputs for step in entry for tensor in step.inputs):
        return "in_channels"
    place, argument = next(((p, a) for p, a in slots if a != "in_channels"), slots[0])
    rivals = [other for others in all_slots for other in others[:1] if other[1] == argument]  # type: ignore[attr-defined]
    if len(rivals) == 1:
        return argument
    return attributes[place] if argument == "out_channels" else f"{attributes[place]}_{argument}"


def _symbolic(steps: Sequence[Step], parameters: Sequence[_Parameter]) -> list[Step]:
    """The first instance's steps with parameters in place of what differs."""
    given = {slot: parameter.name for parameter in parameters for slot in parameter.slots}
    result = []
    for place, step in enumerate(steps):
        if step.layer is None:
            result.append(step)
            continue
        everything = arguments_of(step)
        written = dict(step.layer.arguments)
        arguments = tuple(
            (name, Argument(given[place, name]) if (place, name) in given else value)
            for name, value in everything.items()
            if name in written or (place, name) in given
        )
        arguments = _in_order(step.layer, arguments)
        result.append(replace(step, layer=replace(step.layer, arguments=arguments)))
    return result


def _in_order(layer: Layer, arguments: tuple[tuple[str, Value], ...]) -> tuple[tuple[str, Value], ...]:
    """Positional arguments first, then the rest in the order the layer's own rule gives: defaults come early."""
    first = [name for name, _ in layer.arguments[: layer.positional]]
    rank = {name: index for index, name in enumerate([*first, *dict(layer.defaults), *dict(layer.arguments)])}
    order: dict[str, int] = {}
    for name, _ in arguments:
        order[name] = first.index(name) if name in first else len(first) + rank[name]
    return tuple(sorted(arguments, key=lambda item: order[item[0]]))


def _call(block: Block, group: Group, steps: Sequence[Step], parameters: Sequence[_Parameter]) -> Step:
    """The step that stands for one instance."""
    arguments = []
    for parameter in parameters:
        place, argument = parameter.slots[0]
        value = arguments_of(steps[place])[argument]
        if not parameter.has_default or value != parameter.default:
            arguments.append((parameter.name, value))
    required = sum(not parameter.has_default for parameter in parameters)
    layer = BlockLayer(
        cls=block.name,
        arguments=tuple(arguments),
        positional=required,
        defaults=tuple(block.defaults.items()),
        block=block,
        inner=tuple(steps),
    )
    places = ", ".join(f"{{{index}}}" for index in range(len(group.inputs)))
    origins = tuple(name for step in steps for name in step.origins)
    return Step(group.outputs, f"{{layer}}({places})", group.inputs, layer, group.label, origins, block.name)
