"""Which layer of a port is which of the graph: by name first, then in order by shape."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from tf2ms.rules.types import Step

_GENERIC = frozenset("conv conv2d dense fc linear layer cell pool maxpool avgpool lrn norm".split())


@dataclass(frozen=True)
class Wanted:
    """A layer of the graph: what it must be."""

    kind: str
    label: str
    values: Mapping[str, Any]
    step: Step

    @property
    def node(self) -> str:
        """The TensorFlow node whose value it gives."""
        return self.step.outputs[0].node


@dataclass(frozen=True)
class Made:
    """A layer of the port, as it was made; `parameters` are shapes by name."""

    kind: str
    path: str
    values: Mapping[str, Any]
    parameters: Mapping[str, Sequence[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """A layer of the port and the one of the graph that it stands for."""

    wanted: Wanted
    made: Made


def match(
    wanted: Sequence[Wanted], made: Sequence[Made]
) -> tuple[tuple[Pair, ...], tuple[Wanted, ...], tuple[Made, ...]]:
    """(pairs in the graph's order, layers that the port lacks, layers that the graph lacks)."""
    pairs: dict[int, Made] = {}
    taken: set[int] = set()
    names: dict[tuple[str, str], list[int]] = {}
    for index, cell in enumerate(made):
        for name in _names(cell.path):
            names.setdefault((cell.kind, name), []).append(index)
    for index, layer in enumerate(wanted):
        found = [place for place in names.get((layer.kind, _plain(layer.label)), []) if place not in taken]
        if len(found) == 1:
            pairs[index] = made[found[0]]
            taken.add(found[0])
    for kind in dict.fromkeys(layer.kind for layer in wanted):
        rest = [index for index, layer in enumerate(wanted) if layer.kind == kind and index not in pairs]
        left = [index for index, cell in enumerate(made) if cell.kind == kind and index not in taken]
        for a, b in _aligned([wanted[index] for index in rest], [made[index] for index in left]):
            pairs[rest[a]] = made[left[b]]
            taken.add(left[b])
    return (
        tuple(Pair(wanted[index], pairs[index]) for index in sorted(pairs)),
        tuple(layer for index, layer in enumerate(wanted) if index not in pairs),
        tuple(cell for index, cell in enumerate(made) if index not in taken),
    )


def _names(path: str) -> set[str]:
    """What a path may be called: icp1_out3 for `icp1.out3.conv`, `icp1_out3.0` and `icp1_out3`."""
    parts = path.split(".")
    found = {_plain("_".join(parts))}
    while len(parts) > 1 and (parts[-1].isdigit() or parts[-1].lower() in _GENERIC):
        parts = parts[:-1]
        found.add(_plain("_".join(parts)))
    return found


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _aligned(wanted: Sequence[Wanted], made: Sequence[Made]) -> list[tuple[int, int]]:
    """The pairing in order with the highest score; a layer may stay without (Needleman and Wunsch)."""
    rows, columns = len(wanted), len(made)
    score = [[0.0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows - 1, -1, -1):
        for j in range(columns - 1, -1, -1):
            both = _likeness(wanted[i], made[j]) + score[i + 1][j + 1]
            score[i][j] = max(both, score[i + 1][j], score[i][j + 1])
    pairs, i, j = [], 0, 0
    while i < rows and j < columns:
        if score[i][j] == score[i + 1][j]:
            i += 1
        elif score[i][j] == score[i][j + 1]:
            j += 1
        else:
            pairs.append((i, j))
            i, j = i + 1, j + 1
    return pairs


def _likeness(wanted: Wanted, made: Made) -> float:
    """How much speaks for the pair: shared settings, channels above all, and the name."""
    common = [name for name in wanted.values if name in made.values]
    same = {name for name in common if _equal(wanted.values[name], made.values[name])}
    channels = {"in_channels", "out_channels", "num_features"}
    score = sum(3.0 if name in channels else 1.0 for name in same)
    return score + 2.0 * SequenceMatcher(None, _plain(wanted.label), _plain(made.path)).ratio()


def _equal(a: Any, b: Any) -> bool:
    return tuple(a) == tuple(b) if isinstance(a, list | tuple) and isinstance(b, list | tuple) else bool(a == b)
