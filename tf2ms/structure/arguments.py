"""What differs among the instances of a class becomes its constructor's parameters: few, ordered, well named.

A value that follows from the others is not asked for: `4 * channels`, `in_channels // 4`, and for an optional part
`in_channels != out_channels` or `stride == 1`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tf2ms.rules.types import Step, Value
from tf2ms.structure.groups import Group, settings_of
from tf2ms.structure.names import Names
from tf2ms.structure.types import Argument, BlockLayer

Slot = tuple[int, str]
"""(step within the group, argument)."""
Instance = Sequence[Step | None]
"""The steps of one instance by place; None where it lacks an optional one."""

_MISSING = object()
_CHANNELS = frozenset({"in_channels", "out_channels", "channels", "num_features", "group"})
_RATIOS = range(2, 17)


@dataclass
class Parameter:
    """A constructor parameter with its value in each instance."""

    name: str
    values: tuple[Value, ...]
    kind: str
    default: Value = None
    has_default: bool = False


@dataclass
class Parameters:
    """The parameters in order, and what each slot and optional part is written as."""

    listed: list[Parameter] = field(default_factory=list)
    slots: dict[Slot, Argument] = field(default_factory=dict)
    flags: dict[int, Argument] = field(default_factory=dict)


@dataclass
class _Variable:
    """Slots that vary together."""

    kind: str
    values: tuple[object, ...]
    slots: list[Slot]


def find_parameters(group: Group, instances: Sequence[Instance], attributes: Sequence[str]) -> Parameters:
    """The parameters of the class made of `instances`; `group` is the first, which has every optional part."""
    return _Finder(group, instances, attributes).find()


class _Finder:
    def __init__(self, group: Group, instances: Sequence[Instance], attributes: Sequence[str]):
        self.group, self.instances, self.attributes = group, instances, attributes
        self.base = [next(step for step in column if step) for column in zip(*instances, strict=True)]
        self.found = Parameters()
        self.known: dict[str, tuple[Value, ...]] = {}
        """Expressions over the parameters, with their values."""
        self.names = Names(["self"])

    def find(self) -> Parameters:
        variables = self._variables()
        for variable in variables:
            text = self._follows(variable)
            if text is None:
                text = self._ratio(variable) or self._new(variable, variables)
            for slot in variable.slots:
                self.found.slots[slot] = Argument(text)
        for place, column in enumerate(zip(*self.instances, strict=True)):
            presence = tuple(step is not None for step in column)
            if not all(presence):
                self.found.flags[place] = Argument(self._condition(presence) or self._flag(place, presence))
        self.found.listed.sort(key=lambda parameter: (parameter.has_default, _rank(parameter)))
        return self.found

    # -- what varies -------------------------------------------------------------------------------------------------

    def _variables(self) -> list[_Variable]:
        """The slots that differ, those that vary together as one; complete ones first, in the order of the body."""
        found: list[_Variable] = []
        for place, column in enumerate(zip(*self.instances, strict=True)):
            names = dict.fromkeys(name for step in column if step for name in settings_of(step))
            for argument in names:
                values = tuple(
                    settings_of(step).get(argument) if step else self._handed_on(place, argument, instance)
                    for step, instance in zip(column, self.instances, strict=True)
                )
                present = [value for value in values if value is not _MISSING]
                if all(value == present[0] for value in present):
                    continue
                kind = "channels" if self._counts_channels(place, argument) else argument
                if kind != "channels" and self.base[place].layer is None:
                    kind = "size"
                twin = next((item for item in found if item.kind == kind and item.values == values), None)
                if twin:
                    twin.slots.append((place, argument))
                else:
                    found.append(_Variable(kind, values, [(place, argument)]))
        return sorted(found, key=lambda item: (_MISSING in item.values, not self._is_entry(item)))

    def _handed_on(self, place: int, argument: str, instance: Instance) -> object:
        """The channels of a layer that an instance lacks: it takes and gives what the next layer there takes."""
        outputs = self._base_step(place).outputs
        if argument in ("in_channels", "out_channels"):
            for other, step in enumerate(instance):
                if step is not None and not set(outputs).isdisjoint(self._base_step(other).inputs):
                    return settings_of(step).get("in_channels", _MISSING)
        return _MISSING

    def _counts_channels(self, place: int, argument: str) -> bool:
        layer = self.base[place].layer
        if isinstance(layer, BlockLayer) and layer.block is not None:
            return layer.block.kinds.get(argument) == "channels"
        return argument in _CHANNELS or (layer is None and argument.endswith("_channels"))

    def _is_entry(self, variable: _Variable) -> bool:
        """Whether the variable is the number of channels that the block is given."""
        return variable.kind == "channels" and any(
            argument in ("in_channels", "channels", "num_features") and self._reads_input(place)
            for place, argument in variable.slots
        )

    def _reads_input(self, place: int) -> bool:
        """Whether the step reads the block's input, if only through steps that keep the channels."""
        producer = {t: other for other in range(len(self.base)) for t in self._base_step(other).outputs}
        stack = [place]
        while stack:
            step = self._base_step(stack.pop())
            if any(tensor in self.group.inputs for tensor in step.inputs):
                return True
            before = [producer[tensor] for tensor in step.inputs if tensor in producer]
            stack += [other for other in before if self.base[other].layer is None or not self._counts_any(other)]
        return False

    def _base_step(self, place: int) -> Step:
        return self.instances[0][place] or self.base[place]

    # -- what follows from what --------------------------------------------------------------------------------------

    def _follows(self, variable: _Variable) -> str | None:
        """An expression over the parameters so far that has the variable's values wherever they are known."""
        if variable.kind != "channels":
            alike = (variable.kind, "channels") if variable.kind == "size" else (variable.kind,)
            same = [p for p in self.found.listed if p.kind in alike]
            return next((p.name for p in same if _agree(variable.values, p.values)), None)
        for text, values in self._channel_values():
            if _agree(variable.values, values):
                return text
        for parameter in [p for p in self.found.listed if p.kind == "channels"]:
            numbers: tuple[Any, ...] = parameter.values
            for ratio in _RATIOS:
                for text, derived in (
                    (f"{ratio} * {parameter.name}", tuple(ratio * value for value in numbers)),
                    (f"{parameter.name} // {ratio}", tuple(value // ratio for value in numbers)),
                ):
                    if _agree(variable.values, derived):
                        self.known[text] = derived
                        return text
        return None

    def _channel_values(self) -> Iterator[tuple[str, tuple[Value, ...]]]:
        yield from ((p.name, p.values) for p in self.found.listed if p.kind == "channels")
        yield from self.known.items()

    def _ratio(self, variable: _Variable) -> str | None:
        """`expand * in_channels`, where the ratio takes fewer values than the number itself."""
        if variable.kind != "channels" or _MISSING in variable.values:
            return None
        for parameter in [p for p in self.found.listed if p.name in ("in_channels", "channels")]:
            pairs = list(zip(variable.values, parameter.values, strict=True))
            if any(value % base for value, base in pairs):  # type: ignore[operator]
                continue
            ratios = tuple(value // base for value, base in pairs)  # type: ignore[operator]
            if len(set(ratios)) * 2 < len(set(variable.values)) and max(ratios) in _RATIOS:
                name = self.names.take("expand")
                self.found.listed.append(Parameter(name, ratios, "expand"))
                text = f"{name} * {parameter.name}"
                self.known[text] = tuple(variable.values)  # type: ignore[arg-type]
                return text
        return None

    # -- new parameters ----------------------------------------------------------------------------------------------

    def _new(self, variable: _Variable, variables: Sequence[_Variable]) -> str:
        name = self.names.take(self._name(variable, variables))
        place, argument = variable.slots[0]
        layer = self.base[place].layer
        defaults = dict(layer.defaults) if layer else {}
        present = [value for value in variable.values if value is not _MISSING]
        usual = argument in defaults and defaults[argument] in present
        default: object = defaults.get(argument)
        if not usual and argument not in ("kernel_size", *_CHANNELS) and variable.kind not in ("channels", "size"):
            common = max(dict.fromkeys(present), key=present.count)
            if present.count(common) * 2 > len(present) > 2:
                usual, default = True, common
        filler = default if usual else present[0]
        values = tuple(filler if value is _MISSING else value for value in variable.values)
        self.found.listed.append(Parameter(name, values, variable.kind, default, usual))  # type: ignore[arg-type]
        return name

    def _name(self, variable: _Variable, variables: Sequence[_Variable]) -> str:
        if all(argument == "group" for _, argument in variable.slots):
            return "group"
        if variable.kind == "channels":
            entry, exit_ = self._is_entry(variable), self._is_exit(variable)
            if entry and (exit_ or len(self._exits()) == 0):
                return "channels" if exit_ else "in_channels"
            if entry or exit_:
                return "in_channels" if entry else "out_channels"
            others = [v for v in variables if v.kind == "channels" and not self._is_entry(v) and not self._is_exit(v)]
            if len(others) == 1 and self._exits():
                return "channels"
        place, argument = next(((p, a) for p, a in variable.slots if a != "in_channels"), variable.slots[0])
        whole = [other for other in variables if _MISSING not in other.values or other is variable]
        if sum(other.slots[0][1] == argument or other.kind == argument for other in whole) == 1:
            return argument
        return self.attributes[place] if argument == "out_channels" else f"{self.attributes[place]}_{argument}"

    def _is_exit(self, variable: _Variable) -> bool:
        """Whether the variable is the number of channels that the block gives."""
        exits = self._exits()
        return any(place in exits and argument != "in_channels" for place, argument in variable.slots)

    def _exits(self) -> set[int]:
        """The places of the layers whose channels are the block's: those behind sums and products and activations."""
        producer = {t: place for place in range(len(self.base)) for t in self._base_step(place).outputs}
        found: set[int] = set()
        if len(self.group.outputs) != 1:
            return found
        stack = [self.group.outputs[0]]
        while stack:
            place = producer.get(stack.pop())
            if place is None:
                continue
            step = self._base_step(place)
            if self._counts_any(place):
                found.add(place)
            elif step.layer is not None or step.form in ("{0} + {1}", "{0} * {1}"):
                stack.extend(step.inputs)
        return found

    def _counts_any(self, place: int) -> bool:
        return any(self._counts_channels(place, argument) for argument in settings_of(self.base[place]))

    # -- optional parts ----------------------------------------------------------------------------------------------

    def _condition(self, presence: tuple[bool, ...]) -> str | None:
        """A comparison of parameters that is true just where the part is there; the simplest."""
        simple: list[tuple[str, tuple[bool, ...]]] = []
        for parameter in self.found.listed:
            if parameter.kind in ("stride", "expand"):
                one = tuple(value == 1 for value in parameter.values)
                simple += [(f"{parameter.name} == 1", one), (f"{parameter.name} != 1", tuple(not v for v in one))]
        for (left, first), (right, second) in itertools.combinations(list(self._channel_values()), 2):
            same = tuple(a == b for a, b in zip(first, second, strict=True))
            simple += [(f"{left} == {right}", same), (f"{left} != {right}", tuple(not v for v in same))]
        for text, values in simple:
            if values == presence:
                return text
        for (left, first), (right, second) in itertools.combinations(simple, 2):
            for word, values in (
                ("and", tuple(a and b for a, b in zip(first, second, strict=True))),
                ("or", tuple(a or b for a, b in zip(first, second, strict=True))),
            ):
                if values == presence:
                    return f"{left} {word} {right}"
        return None

    def _flag(self, place: int, presence: tuple[bool, ...]) -> str:
        """A parameter that says whether the part is there."""
        twin = next((p.name for p in self.found.listed if p.kind == "flag" and p.values == presence), None)
        if twin:
            return twin
        name = self.names.take(f"with_{self.attributes[place]}")
        usual = sum(presence) * 2 >= len(presence)
        self.found.listed.append(Parameter(name, presence, "flag", usual, True))
        return name


_ORDER = ("kernel_size", "stride", "expand")


def _rank(parameter: Parameter) -> int:
    """Where everybody expects a parameter: channels from the input to the output, kernel, stride, the rest."""
    if parameter.name == "in_channels":
        return 0
    if parameter.name == "group":
        return 4 + len(_ORDER)
    if parameter.kind == "channels":
        return 2 if parameter.name == "out_channels" else 1
    return 3 + _ORDER.index(parameter.name) if parameter.name in _ORDER else 3 + len(_ORDER)


def _agree(values: Sequence[object], others: Sequence[object]) -> bool:
    return all(value is _MISSING or value == other for value, other in zip(values, others, strict=True))


def evaluate(text: str, given: Mapping[str, Value]) -> Value:
    """The value of an expression that this module or a table wrote: names, numbers, arithmetic and comparisons."""
    import ast

    return _value(ast.parse(text, mode="eval").body, given)


def _value(node: object, given: Mapping[str, Value]) -> Value:
    import ast
    import operator

    operators = {
        ast.Add: operator.add,
        ast.Mult: operator.mul,
        ast.FloorDiv: operator.floordiv,
        ast.Eq: operator.eq,
        ast.NotEq: operator.ne,
    }
    match node:
        case ast.Constant(value=value):
            return value  # type: ignore[return-value]
        case ast.Tuple(elts=items):
            return tuple(_value(item, given) for item in items)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, given)  # type: ignore[operator]
        case ast.Name(id=name):
            return given[name]
        case ast.BinOp(left=left, op=op, right=right):
            return operators[type(op)](_value(left, given), _value(right, given))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return operators[type(op)](_value(left, given), _value(right, given))
        case ast.BoolOp(op=ast.And(), values=values):
            return all(_value(item, given) for item in values)
        case ast.BoolOp(op=ast.Or(), values=values):
            return any(_value(item, given) for item in values)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return _value(body if _value(test, given) else orelse, given)
    raise ValueError(f"no expression of parameters: {node!r}")
