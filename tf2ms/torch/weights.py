"""PyTorch's weights under MindSpore's names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tf2ms.errors import OutputError, SourceError
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
        renamed = [_renamed(layers.get(".".join(parts[:depth]), ""), part) for depth, part in enumerate(parts)]
        yield Placed(source, ".".join(renamed), layers.get(".".join(parts[:-1]), ""))


def _renamed(layer: str, name: str) -> str:
    """The MindSpore name of a parameter, or of an inner module, of a layer."""
    row = table.find(layer) if layer else None
    return row.weights.get(name, name) if row is not None else name


STATES = ("model", "state_dict", "model_state_dict", "net")  # where a checkpoint of several states has the weights


def _tensors(state: object) -> dict[str, Any]:
    """The tensors of what may be a state dict."""
    return {k: v for k, v in state.items() if hasattr(v, "numpy")} if isinstance(state, dict) else {}


def read_state(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a .pth or safetensors file; nothing in it is executed.

    In a checkpoint of several states the weights are those under the first of `STATES`.

    Raises: SourceError.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.numpy import load_file

            return dict(load_file(str(path)))
        import torch

        state = torch.load(path, map_location="cpu", weights_only=True)
    except ImportError as error:
        raise SourceError(f"{path}: reading it needs PyTorch: pip install tf2ms[torch]") from error
    except Exception as error:
        raise SourceError(f"{path}: cannot be read as weights: {str(error).splitlines()[0]}") from error
    tensors = _tensors(state)
    if isinstance(state, dict) and any(_tensors(value) for value in state.values()):  # a checkpoint of several states
        tensors = next((found for key in STATES if (found := _tensors(state.get(key)))), {})
    if not tensors:
        keys = ", ".join(sorted(repr(k) for k in state)[:20]) if isinstance(state, dict) else type(state).__name__
        raise SourceError(f"{path}: no state_dict in it under {', '.join(STATES)}; it holds: {keys}")
    return {
        k.removeprefix("module."): v.float().numpy() if v.dtype == torch.bfloat16 else v.numpy()
        for k, v in tensors.items()
    }


def guess_places(state: Mapping[str, np.ndarray], layers: Mapping[str, set[str]]) -> tuple[list[Placed], list[str]]:
    """MindSpore's names without the PyTorch module, from the names, the shapes and the source.

    layers: attribute name → PyTorch's layer classes that the source assigns to it.
    Returns the places, and the names of which the layer is not certain.
    """
    placed, unsure = [], []
    for source, value in state.items():
        path, _, leaf = source.rpartition(".")
        if leaf == "num_batches_tracked":
            continue
        named = {layer for layer in layers.get(path.rpartition(".")[2], set()) if _fits(layer, leaf, value)}
        maps = {_renamed(layer, leaf) for layer in named}
        layer = ""
        if f"{path}.running_mean" in state:
            dims = "torch.nn.BatchNorm3d" if named == {"torch.nn.BatchNorm3d"} else "torch.nn.BatchNorm2d"
            name = _renamed(dims, leaf)
        elif len(maps) == 1:
            name, layer = maps.pop(), next(iter(named))
        elif leaf in ("weight", "bias") and state.get(f"{path}.weight", value).ndim == 1 and f"{path}.bias" in state:
            name = {"weight": "gamma", "bias": "beta"}[leaf]
        else:
            name = leaf
            if leaf == "weight" and value.ndim in (1, 2) and f"{path}.bias" not in state:
                unsure.append(source)
        if value.ndim == 3 and leaf == "weight" and not layer:
            layer = "torch.nn.Conv1d"
        placed.append(Placed(source, f"{path}.{name}" if path else name, layer))
    return placed, unsure


def _fits(layer: str, leaf: str, value: np.ndarray) -> bool:
    """Whether a tensor may belong to a layer."""
    ranks = {
        "Linear": 2,
        "Embedding": 2,
        "Conv1d": 3,
        "Conv2d": 4,
        "Conv3d": 5,
        "LayerNorm": 1,
        "PReLU": 1,
        "GroupNorm": 1,
    }
    short = layer.removeprefix("torch.nn.")
    return leaf != "weight" or short not in ranks or ranks[short] == value.ndim or short == "LayerNorm"


def write_checkpoint(path: Path, state: Mapping[str, np.ndarray], placed: Iterable[Placed]) -> int:
    """Writes a MindSpore checkpoint, whole or not at all; returns how many tensors it holds.

    Raises: OutputError.
    """
    try:
        import mindspore as ms
    except ImportError as error:
        raise OutputError(f"{path}: writing a checkpoint needs MindSpore: pip install tf2ms[mindspore]") from error
    parameters = [{"name": p.name, "data": ms.Tensor(p.array(state[p.source]))} for p in placed if p.source in state]
    part = path.with_name(path.stem + ".part.ckpt")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        ms.save_checkpoint(parameters, str(part))
        os.chmod(part, 0o644)
        os.replace(part, path)
    except (OSError, RuntimeError, ValueError) as error:
        part.unlink(missing_ok=True)
        raise OutputError(f"{path}: cannot be written: {error}") from error
    return len(parameters)
