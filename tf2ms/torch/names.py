"""Names that statements read and write, and whether they leave their block."""

# ruff: noqa: D102 - libcst gives visit_ methods their names and meaning

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst


class Names(cst.CSTVisitor):
    """Names that statements read and assign, in the order of evaluation, near enough."""

    def __init__(self) -> None:
        self.reads: set[str] = set()
        self.writes: set[str] = set()
        self.early: set[str] = set()  # read before assigned
        self.inner: set[str] = set()

    def _write(self, node: cst.CSTNode) -> None:
        if isinstance(node, cst.Name):
            self.writes.add(node.value)
        elif isinstance(node, cst.Tuple | cst.List):
            for item in node.elements:
                self._write(item.value)
        elif isinstance(node, cst.StarredElement):
            self._write(node.value)
        else:
            node.visit(self)

    def visit_Name(self, node: cst.Name) -> None:
        self.reads.add(node.value)
        if node.value not in self.writes:
            self.early.add(node.value)

    def visit_Attribute(self, node: cst.Attribute) -> bool:
        node.value.visit(self)
        return False

    def visit_Arg(self, node: cst.Arg) -> bool:
        node.value.visit(self)
        return False

    def visit_Param(self, node: cst.Param) -> bool:
        if node.default is not None:
            node.default.visit(self)
        return False

    def visit_Expr(self, node: cst.Expr) -> bool:
        node.value.visit(self)
        call = node.value
        if isinstance(call, cst.Call) and isinstance(call.func, cst.Attribute):
            method, owner = call.func.attr.value, call.func.value
            if method.endswith("_") and not method.endswith("__") and isinstance(owner, cst.Name):
                self._write(owner)  # changed in place: assigned anew in MindSpore
        return False

    def visit_Assign(self, node: cst.Assign) -> bool:
        node.value.visit(self)
        for target in node.targets:
            self._write(target.target)
        return False

    def visit_AnnAssign(self, node: cst.AnnAssign) -> bool:
        if node.value is not None:
            node.value.visit(self)
            self._write(node.target)
        return False

    def visit_AugAssign(self, node: cst.AugAssign) -> bool:
        node.value.visit(self)
        node.target.visit(self)
        self._write(node.target)
        return False

    def visit_For(self, node: cst.For) -> bool:
        node.iter.visit(self)
        self._write(node.target)
        node.body.visit(self)
        if node.orelse is not None:
            node.orelse.visit(self)
        return False

    def visit_AsName(self, node: cst.AsName) -> bool:
        self._write(node.name)
        return False

    def visit_CompFor(self, node: cst.CompFor) -> None:
        self.inner.update(_names_in(node.target))

    def visit_FunctionDef(self, node: cst.FunctionDef) -> bool:
        self.writes.add(node.name.value)
        inner = Names()
        node.body.visit(inner)
        self.reads |= inner.reads
        self.early |= inner.early - self.writes
        return False


def _names_in(node: cst.CSTNode) -> set[str]:
    visitor = Names()
    node.visit(visitor)
    return visitor.reads


def names_of(*nodes: cst.CSTNode) -> Names:
    """The names that nodes read and write."""
    visitor = Names()
    for node in nodes:
        node.visit(visitor)
    visitor.early -= visitor.inner
    return visitor


def fresh(name: str, used: set[str]) -> str:
    """The name, or a numbered one that is not used."""
    candidate, number = name, 2
    while candidate in used:
        candidate, number = f"{name}{number}", number + 1
    return candidate


class _Leaves(cst.CSTVisitor):
    """Statements that leave the block they stand in."""

    def __init__(self) -> None:
        self.found = False
        self.loops = 0

    def visit_FunctionDef(self, node: cst.FunctionDef) -> bool:
        return False

    def visit_Lambda(self, node: cst.Lambda) -> bool:
        return False

    def visit_For(self, node: cst.For) -> None:
        self.loops += 1

    def leave_For(self, original_node: cst.For) -> None:
        self.loops -= 1

    def visit_While(self, node: cst.While) -> None:
        self.loops += 1

    def leave_While(self, original_node: cst.While) -> None:
        self.loops -= 1

    def visit_Return(self, node: cst.Return) -> None:
        self.found = True

    def visit_Yield(self, node: cst.Yield) -> None:
        self.found = True

    def visit_Break(self, node: cst.Break) -> None:
        self.found = self.found or not self.loops

    def visit_Continue(self, node: cst.Continue) -> None:
        self.found = self.found or not self.loops


def leaves(statement: cst.CSTNode) -> bool:
    """Whether a statement leaves the block it stands in: return, yield, break, continue."""
    visitor = _Leaves()
    statement.visit(visitor)
    return visitor.found


class _Elsewhere(cst.CSTVisitor):
    """What is read outside a block."""

    def __init__(self, body: Sequence[cst.CSTNode]):
        self.body = set(body)
        self.seen = False
        self.reads: set[str] = set()

    def on_visit(self, node: cst.CSTNode) -> bool:
        if node in self.body:
            self.seen = True
            return False
        if isinstance(node, cst.Attribute | cst.Arg):
            node.value.visit(self)
            return False
        if self.seen and isinstance(node, cst.Name):
            self.reads.add(node.value)
        return super().on_visit(node)


def read_elsewhere(function: cst.CSTNode, body: Sequence[cst.CSTNode]) -> set[str]:
    """Names that a function reads after the statements of `body`, outside of them."""
    visitor = _Elsewhere(body)
    function.visit(visitor)
    return visitor.reads


class _Bindings(Names):
    """What is bound outside of one statement."""

    def __init__(self, skipped: cst.CSTNode):
        super().__init__()
        self.skipped = skipped

    def on_visit(self, node: cst.CSTNode) -> bool:
        return node is not self.skipped and super().on_visit(node)


def bound_elsewhere(function: cst.CSTNode, statement: cst.CSTNode) -> set[str]:
    """Names that a function (or a module) binds other than in one of its statements."""
    visitor = _Bindings(statement)
    if isinstance(function, cst.FunctionDef):
        function.body.visit(visitor)
        parameters = [p.name.value for p in (*function.params.posonly_params, *function.params.params)]
        return visitor.writes | set(parameters) | {p.name.value for p in function.params.kwonly_params}
    function.visit(visitor)
    return visitor.writes
