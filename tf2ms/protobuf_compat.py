"""Lets MindSpore be imported beside protobuf's C implementation, which TensorBoard's and TensorFlow's messages use.

MindSpore's message modules were generated for protobuf 3 and can only be built by its pure-Python implementation.
MindSpore asks for that one when it is imported first; imported after TensorFlow, or after tf2ms has read a graph, it
fails with "Descriptors cannot be created directly". The finder here steps in for just that case and builds the same
classes from the same serialized descriptors, the way protobuf's own generated code does today.
"""

from __future__ import annotations

import ast
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds `mindspore.….*_pb2` modules with old generated code while protobuf runs its C implementation."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not (fullname.startswith("mindspore.") and fullname.endswith("_pb2")) or _is_pure_python():
            return None
        found = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if found is None or found.origin is None or _descriptor(found.origin) is None:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, origin=found.origin)

    def exec_module(self, module: ModuleType) -> None:
        """Builds the message classes into the module, as protobuf's generated code does."""
        from google.protobuf import descriptor_pool
        from google.protobuf.internal import builder

        spec = module.__spec__
        serialized = _descriptor(spec.origin) if spec and spec.origin else None
        if serialized is None:
            raise ImportError(f"{module.__name__} holds no descriptor")
        descriptor = descriptor_pool.Default().AddSerializedFile(serialized)
        builder.BuildMessageAndEnumDescriptors(descriptor, module.__dict__)
        builder.BuildTopDescriptorsAndMessages(descriptor, module.__name__, module.__dict__)


def _is_pure_python() -> bool:
    from google.protobuf.internal import api_implementation

    return api_implementation.Type() == "python"


def _descriptor(path: str) -> bytes | None:
    """The serialized file descriptor inside an old generated module; None in a modern one."""
    with open(path, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "serialized_pb" and isinstance(node.value, ast.Constant):
            return node.value.value if isinstance(node.value.value, bytes) else None
    return None


def install() -> None:
    """Registers the finder; once, however often it is called."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
