"""Classes of one name are told apart by letters, in the order of the network: MixedA, MixedB, MixedC."""

from __future__ import annotations

import re
import string
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tf2ms.rules.types import Layer, Program, Step
from tf2ms.structure.types import Block, BlockLayer, ChainLayer


def lettered(program: Program, blocks: Sequence[Block]) -> tuple[Program, tuple[Block, ...]]:
    """The program and its classes, numbers behind names replaced by letters."""
    chosen = _chosen(program, {block.name for block in blocks})
    if not chosen:
        return program, tuple(blocks)
    renamer = _Renamer(chosen)
    return renamer.program(program), tuple(renamer.block(block) for block in blocks)


def _chosen(program: Program, names: set[str]) -> dict[str, str]:
    """The new name of each class that shares its own with another."""
    alike: dict[str, list[str]] = defaultdict(list)
    for name in _in_order(program):
        stem = re.sub(r"\d+$", "", name)
        alike[stem if stem in names else name].append(name)
    found: dict[str, str] = {}
    for stem, members in alike.items():
        new = [f"{stem}{letter}" for letter in string.ascii_uppercase[: len(members)]]
        if 1 < len(members) == len(new) and names.isdisjoint(new):
            found.update(zip(members, new, strict=True))
    return found


def _in_order(program: Program) -> list[str]:
    """The names of the classes as the network comes to them."""
    found: dict[str, None] = {}
    stack = list(reversed(program.steps))
    while stack:
        layer = stack.pop().layer
        if isinstance(layer, ChainLayer):
            stack.append(layer.chain[0])
        elif isinstance(layer, BlockLayer) and layer.block is not None and layer.block.name not in found:
            found[layer.block.name] = None
            stack.extend(reversed(layer.block.program.steps))
    return list(found)


class _Renamer:
    def __init__(self, names: Mapping[str, str]):
        self.names = names
        self.done: dict[int, Block] = {}

    def program(self, program: Program) -> Program:
        return replace(program, steps=tuple(map(self.step, program.steps)))

    def block(self, block: Block) -> Block:
        if id(block) not in self.done:
            name = self.names.get(block.name, block.name)
            self.done[id(block)] = replace(block, name=name, program=self.program(block.program))
        return self.done[id(block)]

    def step(self, step: Step) -> Step:
        return replace(step, layer=self.layer(step.layer))

    def layer(self, layer: Layer | None) -> Layer | None:
        if isinstance(layer, ChainLayer) and layer.table is not None:
            table = replace(layer.table, block=self.block(layer.table.block))
            return replace(layer, chain=tuple(map(self.step, layer.chain)), table=table)
        if isinstance(layer, BlockLayer) and layer.block is not None:
            block = self.block(layer.block)
            inner = tuple(None if step is None else self.step(step) for step in layer.inner)
            return replace(layer, cls=block.name, block=block, inner=inner)
        return layer
