"""Running the generated code, and showing that it computes what the TensorFlow graph computes."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tf2ms.verify.types import LEVELS, Bars, Check, Crash, Curves, Evidence, Place

if TYPE_CHECKING:
    import os

__all__ = ["LEVELS", "Bars", "Check", "Crash", "Curves", "Evidence", "Place", "verify"]


def verify(
    source: Any,
    folder: str | os.PathLike[str],
    checkpoint: str | os.PathLike[str] | None = None,
    data: str | os.PathLike[str] | None = None,
    levels: Sequence[str] = LEVELS,
    steps: int = 20,
    *,
    bars: Bars | None = None,
    batch_size: int | None = None,
    seed: int = 1,
    plot: str | os.PathLike[str] | None = None,
    shapes: Mapping[str, Sequence[int | None]] | None = None,
    signature: str | None = None,
    loss: str | None = None,
    rules: str | os.PathLike[str] | None = None,
    tensorflow_python: str | None = None,
    mindspore_python: str | None = None,
) -> Evidence:
    """Runs TensorFlow and the generated code side by side on the same numbers.

    Args:
        source: the graph that was converted.
        folder: the generated project; what stands in its file now is what is verified.
        checkpoint: the variables' values; by default the graph's own initializers, run once in TensorFlow.
        data: an .npz file with one batch; by default random numbers that fit.
        levels: which of `LEVELS`; those that need training are skipped for inference graphs.
        steps: single steps of the update level, and steps of the free run.
        bars: what may differ.
        batch_size: of made-up data, where the graph leaves it free.
        seed: of made-up data.
        plot: where to draw the free run; by default beside the generated file.
        shapes: shapes of placeholders that the graph leaves open.
        signature: which of a SavedModel's signatures was converted.
        loss: which of several losses to train by; by default the first.
        rules: the Python file of rules that it was converted with.
        tensorflow_python: interpreter for TensorFlow's process.
        mindspore_python: interpreter for MindSpore's.

    A difference, and a run that dies, are results. Raises: SourceError and GraphError for what cannot be read.
    """
    from tf2ms.rules.registry import user_rules
    from tf2ms.verify.inputs import FREE_BATCH, make_batch, read_batch
    from tf2ms.verify.plan import make_plan
    from tf2ms.verify.session import run_levels

    with user_rules(None if rules is None else Path(rules)):
        plan = make_plan(source, Path(folder), shapes, signature, loss)
    inputs = list(plan.map["inputs"])
    batch = read_batch(Path(data), inputs) if data else make_batch(plan.graph, inputs, batch_size or FREE_BATCH, seed)
    with ExitStack() as stack:
        work = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="tf2ms_verify_", ignore_cleanup_errors=True))
        )
        return run_levels(
            plan,
            batch,
            levels,
            steps,
            bars or Bars(),
            work,
            checkpoint=str(Path(checkpoint).absolute()) if checkpoint else None,
            plot=Path(plot) if plot else plan.module.with_name(f"{plan.module.stem.removesuffix('_ms')}.verify.svg"),
            pythons=(tensorflow_python, mindspore_python),
        )


class _Callable(ModuleType):
    """`tf2ms.verify` is this package and, as beside `tf2ms.convert`, its function."""

    def __call__(self, *arguments: Any, **options: Any) -> Evidence:
        return verify(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
