"""The parts of a training step: what is planned of it, and what its statements say."""

# ruff: noqa: D102 - libcst gives visit_ methods their names and meaning

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import libcst as cst

from tf2ms.torch import plain, table
from tf2ms.torch.analysis import Analysis
from tf2ms.torch.names import Names, names_of
from tf2ms.torch.target import code
from tf2ms.torch.values import Value


@dataclass
class Backward:
    """One `loss.backward()`."""

    call: cst.Call
    loss: cst.BaseExpression
    index: int
    scaler: cst.BaseExpression | None = None
    first: int = 0
    last: int = 0
    again: list[int] = field(default_factory=list)  # earlier statements that the loss depends on through another step
    optimizers: list[str] = field(default_factory=list)
    accumulates: bool = False
    function: str = "forward_fn"
    grads: str = "grads"
    more: list[Backward] = field(default_factory=list)  # later losses of the same step, added to this one
    unscaled: bool = False
    closure: bool = False  # the block is a closure, which the optimizer calls
    other: cst.Call | None = None  # the backward of the else branch: the same loss without the scaler
    scaled_if: cst.BaseExpression | None = None  # what decides between the two


@dataclass
class Plan:
    """What happens to the statements of one block."""

    body: Sequence[cst.BaseStatement]
    backwards: list[Backward]
    inputs: dict[int, tuple[list[str], list[str]]] = field(default_factory=dict)  # index of backward → inputs, extras
    plain: plain.PlainStep | None = None
    loop: cst.CSTNode | None = None  # before which a plain step's cell is made
    inner: cst.CSTNode | None = None  # the loop whose body the block is
    later: frozenset[str] = frozenset()  # names that are read after the block


@dataclass(frozen=True)
class Package:
    """What one file must know of all.

    distributed: the gradients are averaged over processes. freezes: some weights are not trained.
    buffers: the names of registered buffers.
    """

    distributed: bool = False
    freezes: bool = False
    buffers: frozenset[str] = frozenset()


Settle = Callable[[Sequence[cst.BaseStatement]], tuple[list[cst.BaseStatement], list[cst.EmptyLine]]]


Converter = Callable[[cst.CSTNode], list[cst.BaseStatement]]


class Tools(Protocol):
    """What the planner needs of the rewriter."""

    package: Package

    def note(self, node: cst.CSTNode, source: str, reason: str) -> None:
        """Notes a remark for the report."""

    def imported(self, expression: cst.BaseExpression) -> cst.BaseExpression:
        """An expression of the table, its modules imported."""

    def help(self, name: str) -> str:
        """The local name of a helper."""

    def reads_dataset(self) -> bool:
        """Whether the file looks at `loader.dataset`."""


def calls_in(node: cst.CSTNode) -> Iterator[cst.Call]:
    """Calls that stand as statements, in this block and in the blocks of its conditions."""
    if isinstance(node, cst.SimpleStatementLine):
        for small in node.body:
            value = small.value if isinstance(small, cst.Expr | cst.Assign) else None
            if isinstance(value, cst.Call):
                yield value
    elif isinstance(node, cst.If | cst.Else | cst.With):
        for statement in node.body.body:
            yield from calls_in(statement)
        if isinstance(node, cst.If) and node.orelse is not None:
            yield from calls_in(node.orelse)


def calls_in_block(block: cst.BaseSuite) -> Iterator[cst.Call]:
    """The calls that stand as statements in a block."""
    for statement in block.body:
        yield from calls_in(statement)


def blocks_in(node: cst.CSTNode, deep: bool = True) -> Iterator[cst.BaseSuite]:
    """The blocks of a condition or a context; `deep`: those within them too."""
    if isinstance(node, cst.If | cst.Else | cst.With):
        yield node.body
        for statement in node.body.body if deep else ():
            yield from blocks_in(statement)
        if isinstance(node, cst.If) and node.orelse is not None:
            yield from blocks_in(node.orelse, deep)


def needed_before(statement: cst.CSTNode, names: Names, needed: set[str]) -> set[str]:
    """What must be known before a statement so that `needed` is known after it."""
    settled = names.writes if isinstance(statement, cst.SimpleStatementLine) else set()
    return (needed - settled) | names.early


def assigns(statement: cst.CSTNode, names: set[str]) -> bool:
    """Whether a statement assigns one of the names."""
    return bool(names_of(statement).writes & names)


def returned(body: Sequence[cst.BaseStatement], loss: cst.BaseExpression) -> bool:
    """Whether a function ends with returning the loss."""
    last = body[-1].body[0] if isinstance(body[-1], cst.SimpleStatementLine) else None
    return isinstance(last, cst.Return) and last.value is not None and code(last.value) == code(loss)


def with_gradients(statement: cst.BaseStatement, grads: str) -> cst.BaseStatement:
    """`return loss` → `return loss, grads`."""
    last = statement.body[0] if isinstance(statement, cst.SimpleStatementLine) else None
    if not isinstance(last, cst.Return) or last.value is None:
        return statement
    pair = cst.Tuple([cst.Element(last.value), cst.Element(cst.Name(grads))], lpar=[], rpar=[])
    return statement.with_changes(body=[last.with_changes(value=pair)])


def value_of(statement: cst.BaseStatement) -> cst.BaseExpression | None:
    """The value of an assignment."""
    small = statement.body[0] if isinstance(statement, cst.SimpleStatementLine) else None
    return small.value if isinstance(small, cst.Assign) else None


def part_of(backward: Backward, optimizer: str) -> str:
    """An optimizer's share of the gradients."""
    if len(backward.optimizers) == 1:
        return backward.grads
    position = backward.optimizers.index(optimizer)
    start = " + ".join(f"len({o}.parameters)" for o in backward.optimizers[:position])
    stop = " + ".join(f"len({o}.parameters)" for o in backward.optimizers[: position + 1])
    last = position == len(backward.optimizers) - 1
    return f"{backward.grads}[{start}:{'' if last else stop}]"


def parsed(text: str) -> cst.BaseStatement:
    """A statement from its text."""
    statement = cst.parse_statement(text + "\n")
    assert isinstance(statement, cst.BaseStatement)
    return statement


def statements_of(lines: Sequence[str]) -> list[cst.BaseStatement]:
    """Lines of text as statements."""
    return [parsed(line) for line in lines]


class ModuleCalls(cst.CSTVisitor):
    """Finds calls of modules, or of what may use one."""

    def __init__(self, analysis: Analysis):
        self.analysis = analysis
        self.found = False

    def visit_Call(self, node: cst.Call) -> None:
        value = self.analysis.value(node.func)
        arguments = [self.analysis.value(a.value).kind for a in node.args]
        if value.kind == "module" or (
            value.kind in ("function", "method", "") and self._may_compute(node, value, arguments)
        ):
            self.found = True

    def _may_compute(self, node: cst.Call, value: Value, arguments: list[str]) -> bool:
        if value.kind == "":
            if not isinstance(node.func, cst.Attribute):
                return True
            return table.find(f"Tensor.{node.func.attr.value}") is None and node.func.attr.value not in (
                "append",
                "update",
            )
        if value.kind == "method":
            return value.of[1].kind == "module" or "module" in arguments
        return "module" in arguments


class OptimizerMakers(cst.CSTVisitor):
    """Finds `optimizer = optim.X(module.parameters(), …)`: the modules by the optimizers' names, as written."""

    def __init__(self) -> None:
        self.modules: dict[str, str] = {}

    def visit_Assign(self, node: cst.Assign) -> None:
        if isinstance(node.value, cst.Call) and node.value.args:
            first = node.value.args[0].value
            if isinstance(first, cst.Call) and isinstance(first.func, cst.Attribute):
                module = code(first.func.value)
                self.modules.update({code(t.target): module for t in node.targets})
