"""The rule table: one row is one PyTorch API.

A row is written as two signatures, PyTorch's and MindSpore's, the second in terms of the first's parameters::

    row("nn.Linear(in_features, out_features, bias=True)",
        "nn.Dense(in_channels=in_features, out_channels=out_features, has_bias=bias)",
        "nn.Linear(4, 3)(rows)")

The right side is a Python expression. A call of a plain name maps argument by argument and keeps the user's
formatting; a plain name alone (`"mint.matmul"`) takes the arguments as they are; anything else (`"mint.exp(x) - 1"`)
is filled in. A right side may also be a function that receives the call and returns the expression, for the few rows
that need to look.
What follows are the examples: Python expressions over the fixtures of `tests/torch/parity.py`, run in both frameworks.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from importlib import import_module
from typing import Any

PREFIXES = {
    "F": "torch.nn.functional",
    "nn": "torch.nn",
    "init": "torch.nn.init",
    "optim": "torch.optim",
    "lr_scheduler": "torch.optim.lr_scheduler",
    "transforms": "torchvision.transforms",
}
FAMILIES = (
    "types",
    "layers",
    "functions",
    "functional",
    "tensor",
    "losses",
    "initializers",
    "optimizers",
    "training",
    "data",
    "vision",
)


@dataclass(frozen=True)
class Parameter:
    """A parameter of a PyTorch function; `default` is its source text, None when it must be given."""

    name: str
    default: str | None = None
    kind: str = ""  # "*" or "**" for the variadic ones, "kw" for keyword-only


@dataclass(frozen=True)
class Example:
    """One run of a row in both frameworks.

    check: "values" (forward and gradient), "forward" (values only), "shape", or "moments" (mean and deviation of a
    random result).
    """

    code: str
    check: str = "values"
    tolerance: float = 1e-5


@dataclass(frozen=True)
class Row:
    """What is known of one PyTorch API."""

    name: str
    parameters: tuple[Parameter, ...] | None
    to: str | Callable[..., Any]
    examples: tuple[Example, ...] = ()
    changed: frozenset[str] = frozenset()
    note: str = ""
    devices: str = ""
    gives: str = "tensor"
    weights: Mapping[str, str] = field(default_factory=dict, hash=False)
    family: str = ""
    untested: str = ""
    ignored: frozenset[str] = frozenset()
    called: str = ""
    reference: str = ""

    @cached_property
    def target(self) -> str:
        """The MindSpore form as the table shows it."""
        if isinstance(self.to, str):
            return self.to
        return (self.to.__doc__ or "").strip().split("\n")[0].rstrip(".")


ROWS: dict[str, Row] = {}
_family = ""


def _parse_signature(text: str) -> tuple[str, tuple[Parameter, ...] | None]:
    """`"torch.sum(input, dim=None)"` → the name and its parameters; a plain name has none."""
    name, paren, rest = text.partition("(")
    head, _, tail = name.partition(".")
    name = f"{PREFIXES.get(head, head)}.{tail}" if tail else name
    if not paren:
        return name, None
    function = ast.parse(f"def f({rest}: ...").body[0]
    assert isinstance(function, ast.FunctionDef)
    arguments = function.args
    found: list[Parameter] = []
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(plain) - len(arguments.defaults)) + list(arguments.defaults)
    for argument, default in zip(plain, defaults, strict=True):
        found.append(Parameter(argument.arg, None if default is None else ast.unparse(default)))
    if arguments.vararg:
        found.append(Parameter(arguments.vararg.arg, None, "*"))
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        found.append(Parameter(argument.arg, None if default is None else ast.unparse(default), "kw"))
    if arguments.kwarg:
        found.append(Parameter(arguments.kwarg.arg, None, "**"))
    return name, tuple(found)


def row(
    source: str,
    to: str | Callable[..., Any],
    *examples: str | Example,
    changed: str = "",
    note: str = "",
    devices: str = "",
    gives: str = "tensor",
    weights: Mapping[str, str] | None = None,
    untested: str = "",
    ignored: str = "",
    called: str = "",
    reference: str = "",
) -> None:
    """Registers one PyTorch API.

    changed: parameters whose default differs in MindSpore, so that PyTorch's default is written out.
    note: a known difference that the conversion cannot remove; it goes into the report.
    devices: where the row does not hold ("not on CPU: …").
    gives: the kind of value the call returns, for the type inference.
    weights: parameter names of a layer, PyTorch's → MindSpore's, where they differ.
    untested: why no example can run.
    ignored: parameters without meaning in MindSpore, dropped in silence.
    reference: what stands for the name when it is not called, for a right side that is a function.
    called: for a layer whose calls differ too: `"(input, target) -> self(input, target.int())"`.

    Raises: ValueError if the name is registered already.
    """
    name, parameters = _parse_signature(source)
    if name in ROWS:
        raise ValueError(f"{name} is registered twice")
    tests = tuple(Example(e) if isinstance(e, str) else e for e in examples)
    if not tests and not untested:
        raise ValueError(f"{name} has no example, and no reason why")
    ROWS[name] = Row(
        name,
        parameters,
        to,
        tests,
        frozenset(changed.split()),
        note,
        devices,
        gives,
        weights or {},
        _family,
        untested,
        frozenset(ignored.split()),
        called,
        reference,
    )


def forward(code: str, tolerance: float = 1e-5) -> Example:
    """An example whose values alone are compared: there is no gradient, or none on CPU."""
    return Example(code, "forward", tolerance)


def both(source: str, to: str, *examples: str | Example, **about: Any) -> None:
    """A function that is also a method: `torch.sort(x, dim=1)` and `x.sort(dim=1)`.

    The method's row and examples follow from the function's.
    """
    row(f"torch.{source}", to, *examples, **about)
    name, _, rest = source.partition("(")
    first, _, rest = rest.partition(",")
    first = first.rstrip(")").strip()
    method = re.sub(rf"\b{first}\b(?!=)", "self", to)
    made = [_as_method(e if isinstance(e, Example) else Example(e)) for e in examples]
    row(f"Tensor.{name}({rest.strip() or ')'}", method, *made, **about)


def _as_method(example: Example) -> Example:
    """`torch.sort(x, dim=1)` → `x.sort(dim=1)`."""
    tree = ast.parse(example.code, mode="eval")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("torch.") and node.args:
            node.func = ast.Attribute(node.args.pop(0), ast.unparse(node.func).removeprefix("torch."))
            break
    return replace(example, code=ast.unparse(tree))


def rule(source: str, *examples: str | Example, **about: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`row` for a right side that is a function; stacks, so that one function may serve several APIs."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        row(source, function, *examples, **about)
        return function

    return register


def load() -> dict[str, Row]:
    """The whole table, its modules imported once."""
    global _family
    for family in FAMILIES:
        _family = family
        import_module(f"tf2ms.torch.rows.{family}")
    return ROWS


@cache
def call_of(row: Row) -> Row | None:
    """How an instance of a layer is called, as a row of its own; None when as in PyTorch."""
    if not row.called:
        return None
    source, _, to = row.called.partition(" -> ")
    _, parameters = _parse_signature(f"{row.name}{source}")
    return replace(row, parameters=parameters, to=to, changed=frozenset(), note="", called="")


def canonical(name: str) -> str:
    """The name under which the table knows an API that PyTorch exports several times."""
    if name.startswith("torchvision.transforms.v2."):
        return name.replace(".v2.", ".")
    if name.startswith("torch.nn.modules."):
        return "torch.nn." + name.rpartition(".")[2]
    if name.startswith("torch.optim.") and not name.startswith(("torch.optim.lr_scheduler", "torch.optim.swa_utils")):
        return "torch.optim." + name.rpartition(".")[2]
    if name == "torch.Tensor" or not name.startswith("torch.Tensor."):
        return name
    return name.removeprefix("torch.")


def find(name: str) -> Row | None:
    """The row of a PyTorch name, or None."""
    rows = load()
    return rows.get(name) or rows.get(canonical(name))


def rows() -> Iterator[Row]:
    """All rows, by family, then as written."""
    yield from load().values()
