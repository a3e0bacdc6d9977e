"""Scopes, functions and classes of an analysed file, and the names that blocks bind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import libcst as cst

from tf2ms.torch import table
from tf2ms.torch.values import UNKNOWN, Value

LIBRARIES = ("torch", "torchvision")


@dataclass
class Scope:
    """Names of one function, class or module."""

    names: dict[str, Value] = field(default_factory=dict)
    bound: frozenset[str] = frozenset()
    outer: Scope | None = None
    is_class: bool = False
    returns: list[Value] = field(default_factory=list)
    function: FunctionInfo | None = None

    def find(self, name: str) -> Value:
        """The value of a name; unknown when it is bound here but not yet assigned."""
        scope: Scope | None = self
        first = True
        while scope is not None:
            if not (scope.is_class and not first):
                if name in scope.names:
                    return scope.names[name]
                if name in scope.bound:
                    return UNKNOWN
            first = False
            scope = scope.outer
        return UNKNOWN


@dataclass
class FunctionInfo:
    """A function of the user's."""

    node: cst.FunctionDef | cst.Lambda
    scope: Scope
    owner: ClassInfo | None = None
    result: Value = UNKNOWN
    done: bool = False
    busy: bool = False
    tries: int = 0
    seen: tuple[Value, ...] = ()


@dataclass
class ClassInfo:
    """A class of the user's; `kind` is what its instances are ("module", "dataset", "function", "object")."""

    name: str
    node: cst.ClassDef
    scope: Scope
    bases: list[Value]
    kind: str
    methods: dict[str, FunctionInfo] = field(default_factory=dict)
    attributes: dict[str, Value] = field(default_factory=dict)

    def method(self, name: str) -> FunctionInfo | None:
        """The method, its own or inherited."""
        if name in self.methods:
            return self.methods[name]
        for base in self.bases:
            if isinstance(base.of, ClassInfo) and (found := base.of.method(name)):
                return found
        return None

    def attribute(self, name: str) -> Value:
        """The instance attribute, its own or inherited."""
        if name in self.attributes:
            return self.attributes[name]
        for base in self.bases:
            if isinstance(base.of, ClassInfo) and (found := base.of.attribute(name)):
                return found
        return UNKNOWN


def dotted(node: cst.CSTNode) -> str:
    """`a.b.c` as text, "" for anything else."""
    if isinstance(node, cst.Name):
        return node.value
    if isinstance(node, cst.Attribute) and (left := dotted(node.value)):
        return f"{left}.{node.attr.value}"
    return ""


def is_library(name: str) -> bool:
    """Whether a dotted name is PyTorch's."""
    return name.partition(".")[0] in LIBRARIES


class _Bound(cst.CSTVisitor):
    """The names that a block binds itself."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.outside: set[str] = set()

    def visit_FunctionDef(self, node: cst.FunctionDef) -> bool:
        self.names.add(node.name.value)
        return False

    def visit_ClassDef(self, node: cst.ClassDef) -> bool:
        self.names.add(node.name.value)
        return False

    def visit_Lambda(self, node: cst.Lambda) -> bool:
        return False

    def visit_AssignTarget(self, node: cst.AssignTarget) -> None:
        self._target(node.target)

    def visit_AnnAssign(self, node: cst.AnnAssign) -> None:
        self._target(node.target)

    def visit_AugAssign(self, node: cst.AugAssign) -> None:
        self._target(node.target)

    def visit_For(self, node: cst.For) -> None:
        self._target(node.target)

    def visit_AsName(self, node: cst.AsName) -> None:
        self._target(node.name)

    def visit_NamedExpr(self, node: cst.NamedExpr) -> None:
        self._target(node.target)

    def visit_Global(self, node: cst.Global) -> None:
        self.outside.update(item.name.value for item in node.names)

    def visit_Nonlocal(self, node: cst.Nonlocal) -> None:
        self.outside.update(item.name.value for item in node.names)

    def visit_ImportAlias(self, node: cst.ImportAlias) -> bool:
        if node.asname is None:
            self.names.add(dotted(node.name).partition(".")[0])
        else:
            self._target(node.asname.name)
        return False

    def _target(self, node: cst.CSTNode) -> None:
        if isinstance(node, cst.Name):
            self.names.add(node.value)
        elif isinstance(node, cst.Tuple | cst.List):
            for item in node.elements:
                self._target(item.value)
        elif isinstance(node, cst.StarredElement):
            self._target(node.value)


def bound_names(nodes: Iterable[cst.CSTNode]) -> set[str]:
    """The names that statements bind in their own scope."""
    finder = _Bound()
    for node in nodes:
        node.visit(finder)
    return finder.names - finder.outside


def parameters_of(params: cst.Parameters) -> list[cst.Param]:
    """All parameters in order; the variadic ones keep their star."""
    found = [*params.posonly_params, *params.params]
    if isinstance(params.star_arg, cst.Param):
        found.append(params.star_arg.with_changes(star="*") if params.star_arg.star != "*" else params.star_arg)
    found += params.kwonly_params
    if params.star_kwarg is not None:
        found.append(params.star_kwarg if params.star_kwarg.star == "**" else params.star_kwarg.with_changes(star="**"))
    return found


def is_hidden(name: str, scope: Scope) -> bool:
    """Whether some scope binds the name itself."""
    current: Scope | None = scope
    while current is not None:
        if name in current.bound or name in current.names:
            return True
        current = current.outer
    return False


def class_kind(bases: Iterable[Value]) -> str:
    """What the instances of a class are."""
    for base in bases:
        if isinstance(base.of, ClassInfo):
            return base.of.kind
        if base.kind == "symbol":
            name = table.canonical(base.name)
            if name in ("torch.autograd.Function", "torch.autograd.function.Function"):
                return "function"
            if name.startswith("torch.nn.") or name == "torch.optim.swa_utils.AveragedModel":
                return "module"
            if name.startswith("torch.utils.data.") and name.endswith("Dataset"):
                return "dataset"
    return "object"


def derives_from(value: Value, name: str) -> bool:
    """Whether a class, or what is an instance of one, is PyTorch's `name` or made from it."""
    if isinstance(value.of, ClassInfo):
        return any(derives_from(base, name) for base in value.of.bases)
    return table.canonical(value.name) == name


def integer(node: cst.BaseExpression) -> int | None:
    """A literal integer, with its sign."""
    if isinstance(node, cst.Integer):
        return node.evaluated_value
    if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Minus):
        inner = integer(node.expression)
        return None if inner is None else -inner
    return None
