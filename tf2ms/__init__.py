"""tf2ms reads a TensorFlow graph and writes the MindSpore project that computes the same."""

from __future__ import annotations

from tf2ms import protobuf_compat
from tf2ms.errors import GraphError, OutputError, SourceError, Tf2msError, UnsupportedOpError, VerifyError

__version__ = "0.1.0"

__all__ = [
    "Conversion",
    "Evidence",
    "GraphError",
    "Inspection",
    "OutputError",
    "SourceError",
    "Tf2msError",
    "UnsupportedOpError",
    "VerifyError",
    "convert",
    "inspect",
    "verify",
]

protobuf_compat.install()


def __getattr__(name: str) -> object:
    """Loads the API when it is first used, so that `tf2ms --help` answers at once."""
    if name in ("Conversion", "convert"):
        from tf2ms import api

        return getattr(api, name)
    if name in ("Inspection", "inspect"):
        from tf2ms import inspection

        return getattr(inspection, name)
    if name in ("Evidence", "verify"):
        import importlib

        module = importlib.import_module("tf2ms.verify")  # callable: tf2ms.verify(...) is tf2ms.verify.verify(...)
        return module if name == "verify" else module.Evidence
    raise AttributeError(f"module 'tf2ms' has no attribute '{name}'")
