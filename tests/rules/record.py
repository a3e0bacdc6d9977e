"""What the tests of the rule table show of each op, as `tf2ms/rules/tested.py`: `python tests/rules/record.py`.

The data types are those of the cases' inputs that have the op's own type. The devices are those that MindSpore's
documentation names for all the functions in the row's form and in the helpers that it calls.
"""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
TARGET = HERE.parents[1] / "tf2ms" / "rules" / "tested.py"
HELPERS = HERE.parents[1] / "templates" / "helpers"
DEVICES = ("Ascend", "GPU", "CPU")
_FUNCTION = re.compile(r"\b(ops|nn)\.(\w+)")
_HELPER = re.compile(r"\b(tf_\w+|LRN)\b")


def record() -> dict[str, tuple[str, str]]:
    """(data types tested, devices documented) of each row that has a form."""
    from tf2ms.rules.registry import all_rules

    types = _types()
    rows = [row for row in all_rules() if not row.reason]
    return {row.op: (" ".join(types.get(row.op, ())), _with_cpu(_devices(row.form))) for row in rows}


def _with_cpu(devices: str) -> str:
    """The cases run on CPU, whatever the documentation says."""
    return devices if "CPU" in devices else f"{devices} CPU".strip()


def _types() -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for path in sorted(HERE.glob("cases_*.py")):
        for item in importlib.import_module(path.stem).CASES:
            found.setdefault(item.op, {}).update(dict.fromkeys(_own_types(item)))
    return {op: tuple(sorted(names, key=_place)) for op, names in found.items()}


def _own_types(item: Any) -> list[str]:
    """The types of the inputs that share the type attribute of the op's result, or of its first input."""
    from tensorflow.python.framework import op_def_registry

    definition = op_def_registry.get(item.op)
    arguments = list(definition.input_arg)
    results = [argument.type_attr for argument in definition.output_arg]
    shared = [name for name in results if name and any(a.type_attr == name for a in arguments)]
    own = shared[0] if shared else arguments[0].type_attr
    pairs = zip(arguments, item.inputs, strict=True)
    values = [value for argument, value in pairs if argument.type_attr == own]
    flat = [part for value in values for part in (value if isinstance(value, list) else [value])]
    return [np.asarray(getattr(part, "value", part)).dtype.name for part in flat]


def _place(name: str) -> tuple[int, int, str]:
    dtype = np.dtype(name)
    return "fiucb".index(dtype.kind), -dtype.itemsize, name


@cache
def _devices(text: str) -> str:
    """The devices of every function that a form, or a helper in it, calls."""
    left = set(DEVICES)
    for module, name in _FUNCTION.findall(text):
        left &= _documented(module, name)
    for name in _HELPER.findall(text):
        path = HELPERS / f"{name.lower()}.py"
        own = path.read_text(encoding="utf-8").partition('"""')[2].partition('"""')[2] if path.exists() else ""
        left &= set(_devices(own.replace(f"{name}(", "(")).split())
    return " ".join(device for device in DEVICES if device in left)


@cache
def _documented(module: str, name: str) -> frozenset[str]:
    import mindspore

    doc = inspect.getdoc(getattr(getattr(mindspore, module), name, None)) or ""
    _, _, text = doc.partition("Supported Platforms:")
    named = frozenset(device for device in DEVICES if f"``{device}``" in text.strip().partition("\n")[0])
    return named or frozenset(DEVICES)


def main() -> None:
    """Writes the module."""
    lines = "".join(f"    {op!r}: {pair!r},\n" for op, pair in record().items())
    head = '"""Made by `python tests/rules/record.py`: (data types tested, devices documented) of each op."""\n'
    TARGET.write_text(f"{head}\nTESTED: dict[str, tuple[str, str]] = {{\n{lines}}}\n", encoding="utf-8")
    subprocess.run([sys.executable, "-m", "ruff", "format", "-q", str(TARGET)], check=True)


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    main()
