"""TensorFlow, imported only where it is needed."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tf2ms.errors import SourceError


def tensorflow(purpose: str) -> Any:
    """The TensorFlow module, imported now and quietly; SourceError if it is not installed."""
    if sys.modules.get("tensorflow") is not None:
        return sys.modules["tensorflow"]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with _quiet():
            import tensorflow as tf
    except ImportError as error:
        raise SourceError(f"{purpose} needs TensorFlow: pip install tf2ms[tensorflow]") from error
    return tf


@contextmanager
def _quiet() -> Iterator[None]:
    """Holds back what C++ code writes to stderr: TensorFlow greets before its log level applies."""
    sys.stderr.flush()
    original = os.dup(2)
    try:
        with tempfile.TemporaryFile() as held:
            os.dup2(held.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(original, 2)
    finally:
        os.close(original)
