"""The right side of a row: filling PyTorch's arguments into a MindSpore expression."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import libcst as cst

from tf2ms.torch.table import Parameter, Row

# Arguments that say where and how a tensor lies, which MindSpore leaves to the context.
PLACEMENT = frozenset(
    [
        "inplace",
        "device",
        "memory_format",
        "non_blocking",
        "generator",
        "pin_memory",
        "layout",
        "requires_grad",
        "antialias",
        "foreach",
        "fused",
        "capturable",
        "differentiable",
        "retain_graph",
        "pin_memory_device",
        "persistent_workers",
        "prefetch_factor",
    ]
)


class NoForm(Exception):
    """The call has no MindSpore form; the reason is for the user."""


@dataclass(frozen=True)
class TargetArgument:
    """An argument of the MindSpore call: its keyword ("" for positional) and its value over PyTorch's parameters."""

    keyword: str
    value: cst.BaseExpression
    uses: tuple[str, ...]


@dataclass(frozen=True)
class Target:
    """A parsed right side: a name alone, a call (`arguments` set), or a general expression."""

    expression: cst.BaseExpression
    function: str = ""
    arguments: tuple[TargetArgument, ...] | None = None


@dataclass
class Bound:
    """A call's arguments by PyTorch's parameter name."""

    given: dict[str, cst.Arg] = field(default_factory=dict)
    variadic: list[cst.Arg] = field(default_factory=list)
    star: cst.Arg | None = None
    kwargs: cst.Arg | None = None
    unknown: dict[str, cst.Arg] = field(default_factory=dict)


def code(node: cst.CSTNode) -> str:
    """The source text of a node."""
    return cst.Module(()).code_for_node(node)


def _names(node: cst.CSTNode) -> set[str]:
    return {n.id for n in ast.walk(ast.parse(code(node), mode="eval")) if isinstance(n, ast.Name)}


@cache
def parse(text: str, parameters: tuple[str, ...]) -> Target:
    """A right side, parsed once."""
    expression = cst.parse_expression(text)
    if isinstance(expression, cst.Name | cst.Attribute):
        return Target(expression, text)
    function = code(expression.func) if isinstance(expression, cst.Call) else ""
    if function.partition(".")[0] in set(parameters) - {"self"}:
        return Target(expression)
    if not isinstance(expression, cst.Call) or not function.replace(".", "").replace("_", "").isalnum():
        return Target(expression)
    arguments = []
    for argument in expression.args:
        used = _names(argument.value)
        uses = tuple(p for p in parameters if p in used)
        arguments.append(TargetArgument(argument.keyword.value if argument.keyword else "", argument.value, uses))
    return Target(expression, function, tuple(arguments))


def bind(parameters: Sequence[Parameter], args: Sequence[cst.Arg]) -> Bound:
    """Matches a call's arguments with a signature.

    Raises: NoForm when there are too many.
    """
    bound = Bound()
    positional = [p for p in parameters if p.kind in ("", "*")]
    names = {p.name for p in parameters}
    index = 0
    for arg in args:
        if arg.star == "**":
            bound.kwargs = arg
        elif arg.keyword is not None:
            if arg.keyword.value in names:
                bound.given[arg.keyword.value] = arg
            else:
                bound.unknown[arg.keyword.value] = arg
        elif arg.star == "*":
            bound.star = arg
            if index < len(positional) and positional[index].kind == "*":
                bound.variadic.append(arg)
        elif index < len(positional) and positional[index].kind == "*":
            bound.variadic.append(arg)
        elif index < len(positional):
            bound.given[positional[index].name] = arg
            index += 1
        else:
            raise NoForm("it is called with more arguments than PyTorch documents")
    return bound


def literal(node: cst.CSTNode | None) -> object:
    """The value of a literal expression, `...` when it is not one."""
    if node is None:
        return ...
    try:
        return ast.literal_eval(code(node).strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return ...


def from_literal(value: object) -> cst.BaseExpression:
    """A literal as an expression."""
    if isinstance(value, float):
        value = float(f"{value:.12g}")
    return cst.parse_expression(repr(value))


_LOOSE = (
    cst.BinaryOperation,
    cst.BooleanOperation,
    cst.Comparison,
    cst.UnaryOperation,
    cst.IfExp,
    cst.Lambda,
    cst.NamedExpr,
    cst.Await,
    cst.Tuple,
    cst.GeneratorExp,
)


def parenthesized(node: cst.BaseExpression) -> cst.BaseExpression:
    """The expression, safe to stand inside another."""
    if isinstance(node, _LOOSE) and not node.lpar:
        return node.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    return node


class _Fill(cst.CSTTransformer):
    """Puts expressions in the place of parameter names, folding what is then constant."""

    def __init__(self, values: Mapping[str, cst.BaseExpression]):
        self.values = values
        self.bare: set[cst.CSTNode] = set()

    def visit_Arg(self, node: cst.Arg) -> None:
        self.bare.add(node.value)

    def visit_Element(self, node: cst.Element) -> None:
        self.bare.add(node.value)

    def visit_Index(self, node: cst.Index) -> None:
        self.bare.add(node.value)

    def leave_Arg(self, original_node: cst.Arg, updated_node: cst.Arg) -> cst.Arg:
        return updated_node.with_changes(keyword=original_node.keyword)

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:
        value = self.values.get(original_node.value)
        if value is None:
            return updated_node
        value = value.deep_clone()
        if original_node in self.bare:
            return value
        if isinstance(value, cst.Integer | cst.Float):
            return value
        return parenthesized(value)

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.BaseExpression:
        return updated_node.with_changes(attr=original_node.attr)

    def leave_BinaryOperation(
        self, original_node: cst.BinaryOperation, updated_node: cst.BinaryOperation
    ) -> cst.BaseExpression:
        left, right = literal(updated_node.left), literal(updated_node.right)
        if left is None or right is None:
            raise NoForm("None as its argument has no MindSpore form")
        if isinstance(left, str) and isinstance(right, str) and isinstance(updated_node.operator, cst.Add):
            return from_literal(left + right)
        if isinstance(left, int | float) and isinstance(right, int | float):
            operator = updated_node.operator
            if isinstance(operator, cst.Subtract):
                return from_literal(left - right)
            if isinstance(operator, cst.Add):
                return from_literal(left + right)
            if isinstance(operator, cst.FloorDivide) and right:
                return from_literal(left // right)
        return updated_node

    def leave_UnaryOperation(
        self, original_node: cst.UnaryOperation, updated_node: cst.UnaryOperation
    ) -> cst.BaseExpression:
        value = literal(updated_node.expression)
        return (
            from_literal(not value) if isinstance(updated_node.operator, cst.Not) and value is not ... else updated_node
        )

    def leave_Comparison(self, original_node: cst.Comparison, updated_node: cst.Comparison) -> cst.BaseExpression:
        comparison = updated_node.comparisons[0]
        left, right = literal(updated_node.left), literal(comparison.comparator)
        if left is ... and right is None and isinstance(updated_node.left, cst.Name | cst.Attribute | cst.Call):
            return updated_node
        if right is ... or (left is ... and right is not None):
            return updated_node
        if isinstance(comparison.operator, cst.Is):
            return from_literal(left is right)
        if isinstance(comparison.operator, cst.Equal) and left is not ...:
            return from_literal(left == right)
        return updated_node

    def leave_BooleanOperation(
        self, original_node: cst.BooleanOperation, updated_node: cst.BooleanOperation
    ) -> cst.BaseExpression:
        left = literal(updated_node.left)
        if left is ...:
            return updated_node
        if isinstance(updated_node.operator, cst.Or):
            return updated_node.left if left else updated_node.right
        return updated_node.right if left else updated_node.left

    def leave_IfExp(self, original_node: cst.IfExp, updated_node: cst.IfExp) -> cst.BaseExpression:
        test = literal(updated_node.test)
        if test is ...:
            return updated_node.body if isinstance(updated_node.orelse, cst.Ellipsis) else updated_node
        return updated_node.body if test else updated_node.orelse


def fill(expression: cst.BaseExpression, values: Mapping[str, cst.BaseExpression]) -> cst.BaseExpression:
    """An expression over parameters, with the parameters' expressions in it."""
    if isinstance(expression, cst.Name) and expression.value in values:
        return values[expression.value]
    result = expression.deep_clone().visit(_Fill(values))
    assert isinstance(result, cst.BaseExpression)
    return result


def check_unused(row: Row, bound: Bound, used: set[str]) -> None:
    """Every argument that the user gave must have found its place.

    Raises: NoForm for an argument that MindSpore's form does not take.
    """
    for name, arg in {**bound.given, **bound.unknown}.items():
        if name in used or name in PLACEMENT or name in row.ignored:
            continue
        default = next((p.default for p in row.parameters or () if p.name == name), None)
        value = code(arg.value).strip()
        if default is not None and value.replace('"', "'") == default:
            continue
        if value == "None":
            continue
        raise NoForm(f"its argument {name} has no MindSpore form")


def variadic_value(args: Sequence[cst.Arg], is_sequence: bool) -> cst.BaseExpression:
    """`*size` as one tuple: a single sequence is itself."""
    if len(args) == 1 and (is_sequence or args[0].star == "*"):
        return args[0].value
    elements: list[cst.BaseElement] = [
        cst.StarredElement(a.value) if a.star == "*" else cst.Element(a.value) for a in args
    ]
    if len(elements) == 1:
        elements = [elements[0].with_changes(comma=cst.Comma())]
    return cst.Tuple(elements)


def call_arguments(
    row: Row,
    target: Target,
    bound: Bound,
    variadic: cst.BaseExpression | None,
    receiver: cst.BaseExpression | None,
    prepare: Callable[[cst.BaseExpression], cst.BaseExpression],
    looked_at: set[str],
) -> list[cst.Arg]:
    """The arguments of the MindSpore call, the user's kept as they were written where they stay.

    An ellipsis in the target stands for a MindSpore parameter that is not given: what follows has its keyword.
    prepare: imports what an expression of the table names. looked_at: arguments that a rule has dealt with.

    Raises: NoForm.
    """
    assert target.arguments is not None
    values: dict[str, cst.BaseExpression] = {}
    given = {name: arg.value for name, arg in bound.given.items()}
    if receiver is not None:
        given["self"] = receiver
    for parameter in row.parameters or ():
        if parameter.kind == "*":
            if variadic is not None:
                given[parameter.name] = variadic
        elif parameter.name in given:
            values[parameter.name] = given[parameter.name]
        elif parameter.default is not None:
            values[parameter.name] = cst.parse_expression(parameter.default)
    values.update(given)
    made: list[tuple[int, cst.Arg]] = []
    used: set[str] = set()
    positional = bound.star is None
    for index, argument in enumerate(target.arguments):
        used.update(argument.uses)
        if isinstance(argument.value, cst.Ellipsis):
            positional = False
            continue
        supplied = any(u in given for u in argument.uses)
        if argument.uses and not supplied and not any(u in row.changed for u in argument.uses):
            positional = False
            continue
        if isinstance(argument.value, cst.Name) and argument.value.value in bound.given:
            arg = bound.given[argument.value.value]
            if not argument.keyword or (positional and arg.keyword is None):
                made.append((index, arg.with_changes(keyword=None, equal=cst.MaybeSentinel.DEFAULT)))
                continue
            positional = False
            if arg.keyword is None or arg.keyword.value != argument.keyword:
                equal = arg.equal if isinstance(arg.equal, cst.AssignEqual) else _EQUAL
                arg = arg.with_changes(keyword=cst.Name(argument.keyword), equal=equal)
            made.append((index, arg))
            continue
        missing = [u for u in argument.uses if u not in values]
        if missing:
            raise NoForm(f"its argument {missing[0]} is not given")
        value = fill(prepare(argument.value), values)
        if isinstance(value, cst.Ellipsis):
            positional = False
            continue
        source = next((bound.given[u] for u in argument.uses if u in bound.given), None)
        if not argument.keyword or (positional and source is not None and source.keyword is None):
            base = source or cst.Arg(value)
            made.append((index, base.with_changes(value=value, keyword=None, equal=cst.MaybeSentinel.DEFAULT)))
            continue
        positional = False
        base = source if source is not None else cst.Arg(value)
        made.append((index, base.with_changes(value=value, keyword=cst.Name(argument.keyword), equal=_EQUAL)))
    check_unused(row, bound, used | looked_at)
    args = [arg for _, arg in made]
    # keyword arguments never stand before positional ones
    args = [a for a in args if a.keyword is None] + [a for a in args if a.keyword is not None]
    if bound.star is not None and not bound.variadic:
        args = [bound.star, *args]
    if bound.kwargs is not None:
        args.append(bound.kwargs)
    return args


_EQUAL = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
_COMMA = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))


def lay_out(args: Sequence[cst.Arg], before: Sequence[cst.Arg]) -> list[cst.Arg]:
    """Separators for a changed argument list: the user's commas, line breaks and trailing comma."""
    if not args:
        return []
    commas = [a.comma for a in before[:-1] if isinstance(a.comma, cst.Comma)]
    usual = commas[0] if commas else _COMMA
    if any(code(c).count("#") for c in commas[:1]):
        usual = _COMMA
    last = before[-1] if before else None
    result = []
    for index, arg in enumerate(args):
        final = index == len(args) - 1
        if final:
            comma = last.comma if last is not None else cst.MaybeSentinel.DEFAULT
            arg = arg.with_changes(
                comma=comma, whitespace_after_arg=last.whitespace_after_arg if last else cst.SimpleWhitespace("")
            )
        else:
            own = isinstance(arg.comma, cst.Comma) and arg.comma in commas
            after = cst.SimpleWhitespace("") if not own else arg.whitespace_after_arg
            arg = arg.with_changes(comma=arg.comma if own else usual, whitespace_after_arg=after)
        result.append(arg)
    return result


class Suffix(cst.CSTTransformer):
    """`"model.pth"` → `"model.ckpt"` within an expression."""

    def __init__(self, *suffixes: str) -> None:
        self.changed = False
        self.suffixes = suffixes or (".pth.tar", ".pth", ".pt", ".bin", ".tar")

    def leave_SimpleString(self, original_node: cst.SimpleString, updated_node: cst.SimpleString) -> cst.SimpleString:
        """Quoted text."""
        text, quote = updated_node.value[:-1], updated_node.value[-1]
        return updated_node.with_changes(value=self._suffix(text) + quote)

    def leave_FormattedStringText(
        self, original_node: cst.FormattedStringText, updated_node: cst.FormattedStringText
    ) -> cst.FormattedStringText:
        """Text of an f-string."""
        return updated_node.with_changes(value=self._suffix(updated_node.value))

    def _suffix(self, text: str) -> str:
        for suffix in self.suffixes:
            if text.endswith(suffix):
                self.changed = True
                return text.removesuffix(suffix) + ".ckpt"
        return text
