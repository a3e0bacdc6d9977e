"""What rewritten statements need: imports under local names, dropped statements, comments."""

# ruff: noqa: D102 - libcst gives visit_ and leave_ methods their names and meaning

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import libcst as cst


class Names(Protocol):
    """Who knows the local names of what the output imports."""

    def use(self, name: str) -> str:
        """The local name of a MindSpore module, imported."""

    def help(self, name: str) -> str:
        """The local name of a helper."""


# How generated code names what it imports, in the order of the import lines.
IMPORTS = {
    "argparse": "import argparse",
    "contextlib": "import contextlib",
    "copy": "import copy",
    "json": "import json",
    "math": "import math",
    "os": "import os",
    "random": "import random",
    "ms": "import mindspore as ms",
    "np": "import numpy as np",
    "partial": "from functools import partial",
    "Image": "from PIL import Image",
    "mint": "from mindspore import mint",
    "nn": "from mindspore import nn",
    "ops": "from mindspore import ops",
    "mnp": "from mindspore import numpy as mnp",
    "dataset": "from mindspore import dataset",
    "vision": "from mindspore.dataset import vision",
    "ds_transforms": "from mindspore.dataset import transforms as ds_transforms",
    "optim": "from mindspore.experimental import optim",
    "communication": "from mindspore import communication",
}


FROM = {  # modules whose names are imported one by one
    "mindspore.common.initializer": [
        "Dirac",
        "HeNormal",
        "HeUniform",
        "Normal",
        "Orthogonal",
        "Sparse",
        "TruncatedNormal",
        "Uniform",
        "XavierNormal",
        "XavierUniform",
        "initializer",
    ],
}


IMPORTED_NAMES = {name for names in FROM.values() for name in names}


DROP = cst.Name("__tf2ms_drop__")


EQUAL = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))


def is_dropped(node: cst.CSTNode) -> bool:
    """Whether a small statement is a call without meaning in MindSpore."""
    return isinstance(node, cst.Expr) and node.value is DROP


def settle(body: Sequence[cst.BaseStatement]) -> tuple[list[cst.BaseStatement], list[cst.EmptyLine]]:
    """Takes dropped statements out; their comments go to the next statement, or are returned at the end."""
    result: list[cst.BaseStatement] = []
    comments: list[cst.EmptyLine] = []
    for statement in body:
        if (
            isinstance(statement, cst.SimpleStatementLine)
            and len(statement.body) == 1
            and is_dropped(statement.body[0])
        ):
            comments += [line for line in statement.leading_lines if line.comment is not None or not comments]
            if statement.trailing_whitespace.comment is not None:
                comments.append(cst.EmptyLine(comment=statement.trailing_whitespace.comment))
            continue
        if comments:
            blank = all(line.comment is None for line in comments)
            lines = statement.leading_lines if blank else [*comments, *statement.leading_lines]  # type: ignore[attr-defined]
            if blank and not statement.leading_lines:  # type: ignore[attr-defined]
                lines = comments
            statement = statement.with_changes(leading_lines=lines)
            comments = []
        result.append(statement)
    return result, [line for line in comments if line.comment is not None]


def root_of(node: cst.BaseExpression) -> cst.BaseExpression:
    """What an attribute is of, at the bottom."""
    while isinstance(node, cst.Attribute):
        node = node.value
    return node


def words_of(text: str) -> set[str]:
    """The words of a text."""
    return set("".join(c if c.isalnum() or c == "_" else " " for c in text).split())


class Importer(cst.CSTTransformer):
    """Imports the modules that an expression of the table names, under their local names."""

    def __init__(self, rewriter: Names):
        self.rewriter = rewriter
        self.attributes: set[cst.CSTNode] = set()

    def visit_Attribute(self, node: cst.Attribute) -> None:
        self.attributes.add(node.attr)

    def visit_Arg(self, node: cst.Arg) -> None:
        if node.keyword is not None:
            self.attributes.add(node.keyword)

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.BaseExpression:
        if isinstance(original_node.value, cst.Name) and original_node.value.value == "helper":
            return cst.Name(self.rewriter.help(original_node.attr.value))
        return updated_node

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.Name:
        if original_node in self.attributes or (
            original_node.value not in IMPORTS and original_node.value not in IMPORTED_NAMES
        ):
            return updated_node
        return cst.Name(self.rewriter.use(original_node.value))


def commented(node: cst.CSTNode, marks: Sequence[str]) -> cst.CSTNode:
    """A statement with comment lines above it."""
    if not hasattr(node, "leading_lines"):
        return node
    lines = [cst.EmptyLine(comment=cst.Comment(text)) for text in marks]
    return node.with_changes(leading_lines=[*node.leading_lines, *lines])
