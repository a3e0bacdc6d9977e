"""TensorFlow, imported only where it is needed."""

from __future__ import annotations

import os
from typing import Any

from tf2ms.errors import SourceError


def tensorflow(purpose: str) -> Any:
    """The TensorFlow module, imported now and quietly; SourceError if it is not installed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import tensorflow as tf
    except ImportError as error:
        raise SourceError(f"{purpose} needs TensorFlow: pip install tf2ms[tensorflow]") from error
    return tf
