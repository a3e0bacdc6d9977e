"""A chain of uses of one class becomes an `nn.SequentialCell`, its settings a list, a range or a table with a loop."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tf2ms.rules.types import Program, Step, Value
from tf2ms.structure.arguments import evaluate
from tf2ms.structure.groups import Body, arguments_of, unit_name
from tf2ms.structure.names import label_stem
from tf2ms.structure.types import Block, BlockLayer, ChainLayer, Table


def make_chains(program: Program, at_least: int, units: bool = True) -> Program:
    """The program with each run of calls of one class, one after the other, as one step; ConvReLU too if `units`."""
    body = Body(program)
    place: dict[int, Step | None] = {}
    for start in range(len(program.steps)):
        run = _run(body, start)
        if len(run) >= at_least and _is_shorter(body, run) and (units or not _is_unit(body.steps[start])):
            place.update(dict.fromkeys(run))
            place[run[-1]] = _chain([body.steps[index] for index in run])
    steps = (place.get(index, step) for index, step in enumerate(program.steps))
    return Program(tuple(step for step in steps if step is not None), program.inputs, program.outputs)


def _is_shorter(body: Body, run: Sequence[int]) -> bool:
    """Whether the settings take fewer lines than the elements one by one."""
    table = _table_of([body.steps[index] for index in run])
    lines = 1 if table.carried is None and not table.grouped else 4 + table.grouped
    settings = len(repr(table.rows)) + len(", ".join(table.texts))
    return lines + (len(table.rows) + 3 if settings > _LINE else 0) <= len(run)


_LINE = 100
"""Settings longer than this take a line for each row."""


def _run(body: Body, start: int) -> list[int]:
    """The steps from `start` on that are calls of the same class, each reading just the one before."""
    run: list[int] = []
    index: int | None = start
    while index is not None and _is_link(body.steps[index], body.steps[start]):
        run.append(index)
        index = body.only_reader(index)
    before = body.sources(start)
    if run and before and _is_link(body.steps[before[0]], body.steps[start]) and body.only_reader(before[0]) == start:
        return []  # not the first of its run
    return run


def _is_unit(step: Step) -> bool:
    layer = step.layer
    return isinstance(layer, BlockLayer) and layer.block is not None and bool(unit_name(layer.block.program.steps))


def _is_link(step: Step, first: Step) -> bool:
    layer, other = step.layer, first.layer
    return (
        isinstance(layer, BlockLayer)
        and isinstance(other, BlockLayer)
        and layer.block is other.block
        and step.form == "{layer}({0})"
        and len(step.inputs) == len(step.outputs) == 1
    )


def _chain(steps: Sequence[Step]) -> Step:
    table = _table_of(steps)
    chain = ChainLayer("nn.SequentialCell", (), chain=tuple(steps), table=table)
    origins = tuple(name for step in steps for name in step.origins)
    return Step(steps[-1].outputs, "{layer}({0})", steps[0].inputs, chain, _label(steps), origins, table.block.name)


def _table_of(steps: Sequence[Step]) -> Table:
    layer = steps[0].layer
    assert isinstance(layer, BlockLayer) and layer.block is not None
    return make_table(layer.block, [arguments_of(step) for step in steps])


def _label(steps: Sequence[Step]) -> tuple[str, ...]:
    """What the labels have in common: conv2 for conv2_block1 … conv2_block6; else their stem's plural, blocks."""
    tokens = [[*step.label[:-1], *step.label[-1].split("_")] if step.label else [] for step in steps]
    common = []
    for column in zip(*tokens, strict=False):
        if len(set(column)) > 1:
            break
        common.append(column[0])
    stems = {label_stem(step.label) for step in steps}
    own = stems.pop() if len(stems) == 1 else ""
    while len(common) > 1 and common[-1] == own and re.search(r"\d", "".join(common[:-1])):
        common.pop()  # stage_0 for stage_0_block_0, stage_0_block_1 …
    if common and "_".join(common) != own:
        return ("_".join(common),)
    if own and own.lower() not in _COUNTABLE:
        ends = [re.search(r"\d+$", step.label[-1]) for step in (steps[0], steps[-1])]
        numbers = [end.group() if end else "" for end in ends]
        return (f"{own}{numbers[0]}_to_{numbers[1]}" if all(numbers) else own,)
    return (f"{own or 'block'}s",)


_COUNTABLE = frozenset("block layer unit stage module cell group encoder decoder branch head".split())
"""What there can be several of; else `mixed4_to_7` says which ones they are."""


# -- settings ----------------------------------------------------------------------------------------------------------


@dataclass
class _Columns:
    """Values by parameter, one for each element of the chain."""

    values: dict[str, list[Value]]

    def varying(self) -> list[str]:
        return [name for name, column in self.values.items() if any(value != column[0] for value in column)]


_WORTH_COUNTING = 3
"""Settings that differ are listed with how often they come only where that saves so many rows."""


def make_table(block: Block, arguments: Sequence[Mapping[str, Value]]) -> Table:
    """The shortest way to write the arguments of all elements."""
    columns = _Columns({name: [given[name] for given in arguments] for name in block.parameters})
    varying = columns.varying()
    count = len(arguments)
    fixed = {name: repr(column[0]) for name, column in columns.values.items() if name not in varying}
    if not varying:
        return Table(block, fixed, repeats=count)
    if len(varying) == 1 and (steps := _progression(columns.values[varying[0]])):
        return Table(block, {**fixed, varying[0]: varying[0]}, (varying[0],), span=steps)
    carried = _carried(block, columns, varying)
    rest = [name for name in varying if carried is None or name != carried[0]]
    late = [name for name in rest if name in block.defaults]
    early = [name for name in rest if name not in late]
    rows = _rows(block, columns, early, late)
    texts = {**fixed, **{name: name for name in varying}}
    if len(arguments) - len(rows) < _WORTH_COUNTING:
        each = tuple(tuple(given[name] for name in rest) for given in arguments)
        return Table(block, texts, tuple(rest), each, carried)
    first = {name: f"{name} if index == 0 else {block.defaults[name]!r}" for name in late}
    return Table(block, {**texts, **first}, (*early, *late), tuple(map(tuple, rows)), carried, grouped=True)


def _progression(values: Sequence[Value]) -> tuple[int, int, int] | None:
    """(start, stop, step) of a range."""
    if not all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return None
    step = values[1] - values[0]  # type: ignore[operator]
    if step == 0 or any(b - a != step for a, b in itertools.pairwise(values)):  # type: ignore[operator]
        return None
    return values[0], values[-1] + step, step  # type: ignore[return-value, operator]


def _carried(block: Block, columns: _Columns, varying: Sequence[str]) -> tuple[str, Value, str] | None:
    """(parameter, its first value, what it is next): the channels that an element takes are those the last one gave."""
    for name in varying:
        if name != "in_channels":
            continue
        values = columns.values[name]
        for other in varying:
            for ratio in (1, 2, 4, 6, 8):
                given: list[Any] = columns.values[other]
                if (
                    other != name
                    and block.kinds.get(other) == "channels"
                    and all(values[i + 1] == ratio * given[i] for i in range(len(values) - 1))
                ):
                    return name, values[0], other if ratio == 1 else f"{ratio} * {other}"
    return None


def _rows(block: Block, columns: _Columns, early: Sequence[str], late: Sequence[str]) -> list[list[Value]]:
    """(early values, late values of the first, count) of each run that differs in the first's late values alone."""
    rows: list[list[Value]] = []
    for index in range(len(next(iter(columns.values.values())))):
        first = [columns.values[name][index] for name in early]
        second = [columns.values[name][index] for name in late]
        usual = all(block.defaults[name] == value for name, value in zip(late, second, strict=True))
        if rows and usual and rows[-1][: len(early)] == first:
            rows[-1][-1] += 1  # type: ignore[operator]
        else:
            rows.append([*first, *second, 1])
    return rows


def table_arguments(table: Table) -> list[dict[str, Value]]:
    """The arguments of each element, as the written loop would give them."""
    found: list[dict[str, Value]] = []
    settings: list[tuple[dict[str, Value], int]]
    if table.span is not None:
        settings = [({table.loop[0]: value}, 0) for value in range(*table.span)]
    elif table.grouped:
        settings = [
            (dict(zip(table.loop, row[:-1], strict=True)), index)
            for row in table.rows
            for index in range(row[-1])  # type: ignore[arg-type]
        ]
    elif table.loop:
        settings = [(dict(zip(table.loop, row, strict=True)), 0) for row in table.rows]
    else:
        settings = [({}, 0)] * table.repeats
    held = table.carried[1] if table.carried else None
    for row, index in settings:
        scope: dict[str, Value] = {**row, "index": index}
        if table.carried:
            scope[table.carried[0]] = held
        found.append({name: evaluate(text, scope) for name, text in table.texts.items()})
        if table.carried:
            held = evaluate(table.carried[2], scope)
    return found
