"""What the type inference knows of an expression."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Value:
    """A kind, and what the kind needs.

    kind: "symbol" (a dotted name of a library), "tensor", "tensors" (a sequence of them), "module", "optimizer",
    "scheduler", "loader", "dataset", "scaler", "size" (a shape), "int", "float", "str", "bool", "none", "device",
    "dtype", "tuple", "list", "dict", "class", "function", "method", "object", or "" for unknown.
    """

    kind: str = ""
    name: str = ""
    items: tuple[Value, ...] = ()
    of: Any = field(default=None, compare=False)

    def __bool__(self) -> bool:
        return bool(self.kind)


UNKNOWN = Value()
TENSOR = Value("tensor")
TENSORS = Value("tensors")
NONE = Value("none")
INT = Value("int")
PARAMETER = Value("tensor", of="parameter")  # equal to TENSOR, but changed in place it must stay the same object
PARAMETERS = Value("tensors", of="parameter")
SIZE = Value("size")


def join(a: Value, b: Value) -> Value:
    """What is known when either may be meant; None gives way to anything (an optional argument)."""
    if a == b:
        return a if a.of is not None else b
    if b.kind == "none" or not b:
        return a if a else b
    if a.kind == "none" or not a:
        return b
    if a.kind == b.kind and a.kind not in ("class", "function", "method", "bound", "symbol", "builtin"):
        return a if a.name == b.name else Value(a.kind)
    return UNKNOWN


def element(value: Value, index: int | None = None) -> Value:
    """What indexing or iterating gives."""
    if value.kind in ("tensor", "tensors", "batch"):
        return PARAMETER if value.kind == "tensors" and value.of == "parameter" else TENSOR
    if value.kind == "dict" and value.name == "state":
        return PARAMETER if index is not None else Value("str")
    if value.kind == "size":
        return INT
    if value.kind == "tuple":
        if index is not None and -len(value.items) <= index < len(value.items):
            return value.items[index]
        return value.items[0] if value.items and all(i == value.items[0] for i in value.items) else UNKNOWN
    if value.kind == "list":
        return value.items[0] if value.items else UNKNOWN
    if value.kind in ("loader", "dataset"):
        return Value("batch")  # a tensor, or several
    if value.kind == "module":  # a container of modules
        return Value("module")
    return UNKNOWN
