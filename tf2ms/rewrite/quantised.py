"""Weights that a graph keeps quantised, and dequantises before it uses them: as the numbers that they stand for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tf2ms.graph import Node
from tf2ms.rewrite import View, rewrites

_RANGES = {"quint8": (0, 255), "qint8": (-128, 127), "quint16": (0, 65535), "qint16": (-32768, 32767)}


@rewrites("Dequantize")
def dequantised_constant(view: View, node: Node) -> Node | None:
    """Dequantize of constants as a constant."""
    values = [view.constant(tensor) for tensor in node.inputs]
    limits = _RANGES.get(str(node.attr("T")))
    if limits is None or any(value is None for value in values) or node.attr("axis", -1) != -1:
        return None
    quantised, low, high = (np.asarray(value, np.float32) for value in values)
    if low.size != 1 or high.size != 1:
        return None
    first, last = limits
    mode = str(node.attr("mode", "MIN_COMBINED"))
    if mode == "SCALED":
        least = first + bool(node.attr("narrow_range"))
        found = quantised * (
            max(low / np.float32(least), high / np.float32(last)) if first else high / np.float32(last)
        )
    else:
        step = (high - low) / np.float32(last - first)
        half = (last - first + 1) / 2 if first < 0 and mode == "MIN_COMBINED" else -first
        low = np.round(low / step) * step if mode == "MIN_FIRST" else low
        found = (quantised + half) * step + low
    attrs = {"dtype": "float32", "value": found.astype(np.float32)}
    return replace(node, op="Const", inputs=(), attrs=attrs, shapes=(found.shape,))
