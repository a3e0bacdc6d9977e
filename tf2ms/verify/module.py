"""Importing a generated or hand-written file. Plain: MindSpore's own process needs it without the rest of tf2ms."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def import_file(path: str | Path, name: str | None = None) -> ModuleType:
    """The file as a module, from its place: MindSpore compiles from source, and lines must be the user's."""
    name = name or Path(path).stem
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
