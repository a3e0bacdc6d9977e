"""How a weight starts, as a MindSpore initializer: the named one where the graph's numbers are exactly its own."""

from __future__ import annotations

import math
from typing import Any

from tf2ms.rules.types import Code, Value, Weight
from tf2ms.split import Initializer, number_text

_TOLERANCE = 1e-5


def initial_values(weight: Weight, bias: Weight | None) -> dict[str, Any]:
    """The `weight_init` and `bias_init` arguments of a layer; what the graph does not say is left out."""
    codes = {"weight_init": initializer_code(weight)}
    if bias is not None:
        codes["bias_init"] = initializer_code(bias, "out_channels")
    return {name: code for name, code in codes.items() if code is not None}


def initializer_code(weight: Weight, size_name: str | None = None) -> Value:
    """The initializer as code, e.g. `XavierUniform()`; None where the graph does not say.

    `size_name` is what the layer calls the length of a vector, for initializers that depend on it.
    """
    start = weight.initializer
    if start is None:
        return None
    if start.kind in ("zeros", "ones"):
        return start.kind
    if start.kind == "constant":
        return Code(f"Constant({number_text(start.args[0])})", ("Constant",))
    if start.kind == "uniform":
        return _uniform(weight, start, size_name)
    if start.kind == "normal":
        return _centred("Normal", start)
    if start.kind == "truncated_normal":
        return _centred("TruncatedNormal", start)
    return None  # an array of values: the checkpoint carries it


def _centred(cls: str, start: Initializer) -> Code:
    """Normal(sigma), with the mean where it is not 0."""
    mean, stddev = start.args
    return Code(f"{cls}({number_text(stddev)}{f', {number_text(mean)}' if mean else ''})", (cls,))


def _uniform(weight: Weight, start: Initializer, size_name: str | None) -> Value:
    low, high = start.args
    if low != -high:
        return None
    if math.isclose(high, math.sqrt(6 / _fans(weight.shape)), rel_tol=_TOLERANCE):
        if len(weight.shape) >= 2:
            return Code("XavierUniform()", ("XavierUniform",))
        if size_name:  # glorot_uniform of a vector, TensorFlow's default for biases: fan in = fan out = size
            return Code(f"Uniform((3 / {{{size_name}}}) ** 0.5)", ("Uniform",))
    return Code(f"Uniform({number_text(high)})", ("Uniform",))


def _fans(shape: tuple[int, ...]) -> float:
    """Fan in plus fan out as MindSpore counts them, (out, in, *kernel); of a vector, twice its size."""
    if len(shape) < 2:
        return 2.0 * math.prod(shape)
    return float((shape[0] + shape[1]) * math.prod(shape[2:]))
