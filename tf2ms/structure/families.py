"""Which groups become one class: those of the same form, and those that are one of them but for optional parts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from tf2ms.structure.align import Alignment, align
from tf2ms.structure.blocks import Family, parameter_count
from tf2ms.structure.groups import Body, Group

_MAX_FORMS = 64
"""So many other forms are tried as variants of a family; more are a sign that nothing is alike."""


def next_family(body: Body, finder: Callable[[Body], Iterator[Group]], optional: bool) -> Family | None:
    """The smallest family that the finder gives, with its variants if `optional`; None if there is none."""
    groups = list(finder(body))
    same = families(groups)
    if not same:
        return None
    if not optional:
        return _family(same[0][0], same[0], {})
    chosen = next(family for family in same if not any(_holds(other, family) for other in same))
    others = [family for family in same if family is not chosen]
    plain = _family(chosen[0], chosen, {})
    merged = _with_variants(body, chosen, [*others, *_single(groups, same)])
    larger = next((family for family in same if family[0].form == merged.base.form), chosen)
    alone = max(parameter_count(body, plain), parameter_count(body, _family(larger[0], larger, {})))
    return merged if parameter_count(body, merged) <= max(alone, 2) + 1 else plain


def _holds(larger: Sequence[Group], smaller: Sequence[Group]) -> bool:
    """Whether each group of one family is a part of a group of the other: a class of one use is no class."""
    if larger is smaller or len(larger) != len(smaller) or len(larger[0].steps) <= len(smaller[0].steps):
        return False
    inside = {index: number for number, group in enumerate(larger) for index in group.steps}
    places = [{inside.get(index) for index in group.steps} for group in smaller]
    return all(len(place) == 1 and None not in place for place in places) and len(set().union(*places)) == len(larger)


def families(groups: Iterable[Group]) -> list[list[Group]]:
    """Groups of the same form, two or more and none overlapping another, small ones first."""
    same: dict[Any, list[Group]] = defaultdict(list)
    for group in groups:
        same[group.form].append(group)
    found = [apart for members in same.values() if len(apart := _apart(members)) >= 2]
    return sorted(found, key=lambda family: (len(family[0].steps), -len(family), family[0].steps))


def _apart(groups: Iterable[Group]) -> list[Group]:
    """The groups that share no step with one before."""
    taken: set[int] = set()
    apart = []
    for group in groups:
        if taken.isdisjoint(group.steps):
            taken.update(group.steps)
            apart.append(group)
    return apart


def _single(groups: Sequence[Group], same: Sequence[Sequence[Group]]) -> list[list[Group]]:
    """The groups that are the only ones of their form."""
    known = {family[0].form for family in same}
    return [[group] for group in groups if group.form not in known]


def _with_variants(body: Body, family: list[Group], others: Sequence[list[Group]]) -> Family:
    """The family with the groups that are its base, or of which it is, but for optional parts."""
    base, members = family[0], list(family)
    alignments: dict[Any, Alignment] = {}
    for other in sorted(others, key=lambda other: -len(other[0].steps))[:_MAX_FORMS]:
        # the largest form that the family fits into becomes the base
        if _comparable(other[0], base) and (found := align(body, other[0], base)) is not None:
            base, alignments = other[0], {family[0].form: found}
            members = [*other, *family]
            break
    for other in sorted(others, key=lambda other: -len(other[0].steps))[:_MAX_FORMS]:
        form = other[0].form
        if form != base.form and form not in alignments and _comparable(base, other[0]):
            found = align(body, base, other[0])
            agreed = {place: choice for item in alignments.values() for place, choice in item.handed_on.items()}
            if found is not None and all(
                agreed.get(place, choice) == choice for place, choice in found.handed_on.items()
            ):
                alignments[form] = found
                members += other
    members = _apart(sorted(members, key=lambda group: (-len(group.steps), group.steps)))
    kept = [group for group in members if group.form == base.form or group.form in alignments]
    return _family(base, kept, alignments)


def _comparable(larger: Group, smaller: Group) -> bool:
    """Whether the smaller is most of the larger: a part of a block is no variant of it."""
    return len(smaller.steps) < len(larger.steps) <= 2 * len(smaller.steps) and not set(smaller.steps) & set(
        larger.steps
    )


def _family(base: Group, groups: Sequence[Group], alignments: dict[Any, Alignment]) -> Family:
    """The groups in the order of the network; an alignment holds for every group of its form."""
    ordered = sorted(groups, key=lambda group: group.steps[-1])
    members = [
        tuple(group.steps)
        if group.form == base.form
        else tuple(None if place is None else group.steps[place] for place in alignments[group.form].places)
        for group in ordered
    ]
    handed_on = {place: choice for found in alignments.values() for place, choice in found.handed_on.items()}
    return Family(base, tuple(ordered), tuple(members), handed_on)
