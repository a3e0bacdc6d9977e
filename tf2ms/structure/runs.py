"""Repetition where names and forks say nothing: runs of steps, each reading just the one before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from tf2ms.rules.types import Step
from tf2ms.structure.blocks import Family, parameter_count
from tf2ms.structure.groups import Body, Group, has_weights, kind_of, majority
from tf2ms.structure.motifs import motif_name

_MAX_PERIOD = 8
"""A repeated run of more steps than this is not looked for where names say nothing."""

_MAX_PARAMETERS = 5
"""A class of a run that asks for more is harder to read than its layers, listed one after the other."""


def runs(body: Body) -> Iterator[Group]:
    """The run whose repetition saves most among those whose class is easy to call: two convolutions of a U-Net."""
    for members in sorted(_repeated(body), key=_saved, reverse=True):
        found = [body.group(steps, majority([body.steps[index].label for index in steps])) for steps in members]
        groups = [group for group in found if group is not None]
        if len(groups) > 1 and _is_worth_it(body, members, groups) and _is_easy_to_call(body, groups):
            yield from groups
            return


def _repeated(body: Body) -> Iterator[list[list[int]]]:
    """For each sequence of kinds of steps that occurs twice or more, the steps of each, none overlapping another."""
    kinds = [_link_kind(step) for step in body.steps]
    follower = [body.only_reader(index) if kinds[index] is not None else None for index in range(len(kinds))]
    follower = [user if user is not None and kinds[user] is not None else None for user in follower]
    places: dict[tuple[Any, ...], list[list[int]]] = defaultdict(list)
    for start, kind in enumerate(kinds):
        members = [start] if kind is not None else []
        while members and len(members) < _MAX_PERIOD and (user := follower[members[-1]]) is not None:
            members.append(user)
            if sum(has_weights(body.steps[index]) for index in members) >= 2:
                places[tuple(kinds[index] for index in members)].append(list(members))
    for key, found in places.items():
        if _repeats_itself(key):
            continue
        taken: set[int] = set()
        apart = []
        for members in found:
            if taken.isdisjoint(members):
                taken.update(members)
                apart.append(members)
        if len(apart) > 1:
            yield apart


def _repeats_itself(kinds: tuple[Any, ...]) -> bool:
    """Whether the run is a shorter one several times over: two layers of a transformer are no block of their own."""
    return any(
        kinds == kinds[:period] * (len(kinds) // period) for period in range(1 + (len(kinds) == 2), len(kinds) // 2 + 1)
    )


def _saved(members: Sequence[Sequence[int]]) -> tuple[int, int]:
    """How many lines a class saves, which itself costs some; of as many, the longer run."""
    length = len(members[0])
    return len(members) * (length - 1) - length - 4, length


def _is_worth_it(body: Body, members: Sequence[Sequence[int]], groups: Sequence[Group]) -> bool:
    if len(groups) > 2 and motif_name([body.steps[index] for index in groups[0].steps], groups[0]):
        return True
    return _saved(members)[0] >= 0


def _is_easy_to_call(body: Body, groups: Sequence[Group]) -> bool:
    family = Family(groups[0], tuple(groups), tuple(group.steps for group in groups), {})
    return parameter_count(body, family) <= _MAX_PARAMETERS


def _link_kind(step: Step) -> tuple[Any, ...] | None:
    """What a step of a run is compared by; None for a step that is no layer of one input."""
    alone = len(step.inputs) == len(step.outputs) == 1 and step.form == "{layer}({0})"
    return (step.form, kind_of(step)) if alone else None
