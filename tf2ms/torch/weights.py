"""PyTorch's weights under MindSpore's names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tf2ms.torch import table


@dataclass(frozen=True)
class Placed:
    """One tensor's place in the MindSpore network."""

    source: str
    name: str
    layer: str = ""

    def array(self, value: np.ndarray) -> np.ndarray:
        """The tensor in MindSpore's layout: one-dimensional convolutions are stored with a height of 1."""
        if self.layer in ("torch.nn.Conv1d", "torch.nn.ConvTranspose1d") and self.name.endswith("weight"):
            return value[:, :, None, :]
        return value


def layer_name(module: Any) -> str:
    """The PyTorch class of a module, under the table's name; "" for the user's own classes."""
    kind = type(module)
    if not kind.__module__.startswith("torch.nn"):
        return ""
    return "torch.nn." + kind.__name__


def places(module: Any, skip: Callable[[str], bool] = lambda name: False) -> Iterator[Placed]:
    """Every tensor of a PyTorch module's state, and its MindSpore name."""
    layers = {name: layer_name(inner) for name, inner in module.named_modules()}
    for source in module.state_dict():
        if source.endswith("num_batches_tracked") or skip(source):
            continue
        parts = source.split(".")
        renamed = [
            _renamed(layers.get(".".join(parts[:depth]), ""), part) for depth, part in enumerate(parts)
        ]
        yield Placed(source, ".".join(renamed), layers.get(".".join(parts[:-1]), ""))


def _renamed(layer: str, name: str) -> str:
    """The MindSpore name of a parameter, or of an inner module, of a layer."""
    row = table.find(layer) if layer else None
    return row.weights.get(name, name) if row is not None else name
