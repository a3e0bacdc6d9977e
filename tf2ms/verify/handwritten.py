"""What a hand-written file says without being run: optimizers and attributes that are never set."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_DEFAULTS: Mapping[str, Mapping[str, float | None]] = {
    "Adam": {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
    "Momentum": {"learning_rate": None, "momentum": None},
    "SGD": {"learning_rate": 0.1},
    "RMSProp": {"learning_rate": 0.1},
    "Adagrad": {"learning_rate": 1e-3},
    "AdamWeightDecay": {"learning_rate": 1e-3},
}
"""MindSpore's optimizers: arguments after the parameters, in order, with their defaults."""


@dataclass(frozen=True)
class OptimizerCall:
    """Where an optimizer is made, and the settings that are plain numbers."""

    cls: str
    line: int
    values: Mapping[str, float]


def optimizer_calls(tree: ast.Module) -> Iterator[OptimizerCall]:
    """Every call that makes an optimizer; names are followed to the one number that the file gives them."""
    numbers = _numbers(tree)
    for item in ast.walk(tree):
        if not isinstance(item, ast.Call):
            continue
        name = item.func.attr if isinstance(item.func, ast.Attribute) else getattr(item.func, "id", "")
        if name not in _DEFAULTS:
            continue
        values: dict[str, float] = {}
        given = dict(zip(_DEFAULTS[name], item.args[1:], strict=False))
        given.update({keyword.arg: keyword.value for keyword in item.keywords if keyword.arg})
        for argument, default in _DEFAULTS[name].items():
            value = _number(given[argument], numbers) if argument in given else default
            if value is not None:
                values[argument] = value
        yield OptimizerCall(name, item.lineno, values)


def _numbers(tree: ast.Module) -> Mapping[str, float]:
    """Names, parameters with defaults and `--arguments` that the file gives exactly one number."""
    found: dict[str, set[float]] = {}

    def add(name: str, value: ast.expr | None) -> None:
        number = _number(value, {}) if value is not None else None
        if number is not None:
            found.setdefault(name, set()).add(number)

    for item in ast.walk(tree):
        if isinstance(item, ast.Assign):
            for target in item.targets:
                if isinstance(target, ast.Name | ast.Attribute):
                    add(target.id if isinstance(target, ast.Name) else target.attr, item.value)
        elif isinstance(item, ast.FunctionDef):
            arguments = item.args.args[len(item.args.args) - len(item.args.defaults) :]
            for argument, value in zip(arguments, item.args.defaults, strict=True):
                add(argument.arg, value)
        elif isinstance(item, ast.Call) and item.args and isinstance(item.args[0], ast.Constant):
            flag = item.args[0].value
            if isinstance(flag, str) and flag.startswith("--"):
                default = next((keyword.value for keyword in item.keywords if keyword.arg == "default"), None)
                add(flag.lstrip("-").replace("-", "_"), default)
    return {name: values.pop() for name, values in found.items() if len(values) == 1}


def _number(value: ast.expr, numbers: Mapping[str, float]) -> float | None:
    if isinstance(value, ast.Constant) and isinstance(value.value, int | float):
        return float(value.value)
    if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub):
        inner = _number(value.operand, numbers)
        return None if inner is None else -inner
    if isinstance(value, ast.Name):
        return numbers.get(value.id)
    return numbers.get(value.attr) if isinstance(value, ast.Attribute) else None


def undefined_attributes(tree: ast.Module) -> list[tuple[str, str, int, str]]:
    """(class, attribute, line, what to say instead) of every `self.x` that the file reads and never sets.

    Base classes from elsewhere may set them: that is for the one who can import them to say.
    """
    classes = {item.name: item for item in ast.walk(tree) if isinstance(item, ast.ClassDef)}
    found: dict[tuple[str, str], tuple[str, str, int, str]] = {}
    for cls in classes.values():
        known = _known(cls, classes)
        for item in ast.walk(cls):
            if _is_own(item) and isinstance(item.ctx, ast.Load) and item.attr not in known:  # type: ignore[attr-defined]
                name = item.attr  # type: ignore[attr-defined]
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean self.{near[0]}?" if near else f"{cls.name} sets no such attribute"
                found.setdefault((cls.name, name), (cls.name, name, item.lineno, hint))  # type: ignore[attr-defined]
    return list(found.values())


def _known(cls: ast.ClassDef, classes: Mapping[str, ast.ClassDef], seen: frozenset[str] = frozenset()) -> set[str]:
    """Everything that the class and its bases in the same file define."""
    names: set[str] = set()
    for item in ast.walk(cls):
        if _is_own(item) and isinstance(item.ctx, ast.Store | ast.Del):  # type: ignore[attr-defined]
            names.add(item.attr)  # type: ignore[attr-defined]
        elif isinstance(item, ast.FunctionDef | ast.ClassDef):
            names.add(item.name)
        elif isinstance(item, ast.Call) and item.args and isinstance(item.args[0], ast.Constant):
            names.add(str(item.args[0].value))  # insert_child_to_cell("name", cell), setattr by name, …
        elif isinstance(item, ast.Constant) and isinstance(item.value, str) and item.value.isidentifier():
            names.add(item.value)
    for target in (target for item in cls.body if isinstance(item, ast.Assign) for target in item.targets):
        names.update(name.id for name in ast.walk(target) if isinstance(name, ast.Name))
    for base in cls.bases:
        if isinstance(base, ast.Name) and base.id in classes and base.id not in seen:
            names |= _known(classes[base.id], classes, seen | {cls.name})
    return names


def _is_own(item: ast.AST) -> bool:
    return isinstance(item, ast.Attribute) and isinstance(item.value, ast.Name) and item.value.id == "self"
