"""TensorFlow without its greetings on stderr."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from reference_tf.errors import UserError


def load_tensorflow() -> None:
    """Imports TensorFlow quietly, so that the `import` statements after it print nothing.

    Raises: UserError if it is not installed.

    oneDNN stays as it is: `TF_ENABLE_ONEDNN_OPTS=0` would silence the last lines too, but changes the rounding of the
    results and makes training slower.
    """
    if "tensorflow" in sys.modules:
        return
    if find_spec("tensorflow") is None:
        raise UserError("TensorFlow is not installed; `pip install tensorflow-cpu` brings it")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _held_back_stderr():
        import tensorflow as tf

        # The first session prints once more.
        with tf.Graph().as_default(), tf.compat.v1.Session():
            pass
    tf.get_logger().setLevel("ERROR")  # deprecation notes of the version 1 interface, which is what is wanted here
    warnings.filterwarnings("ignore", module="tensorflow")


@contextmanager
def _held_back_stderr() -> Iterator[None]:
    """Holds back what is written to file descriptor 2 (C++ code included), and shows it only if the block raises."""
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            sys.stderr.flush()
            os.dup2(original, 2)
            os.close(original)
            if failed:
                held.seek(0)
                os.write(2, held.read())
