"""MindSpore's side of an audit: the layers of a cell that someone wrote, and what they compute."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np


def undefined(module: Any, reads: Sequence[Sequence[str]]) -> list[list[str]]:
    """Those (class, attribute) that no base class has or sets either."""
    from mindspore import nn

    plain = nn.Cell()
    found = []
    for owner, name in reads:
        cls = getattr(module, owner, None)
        if cls is None or hasattr(cls, name) or hasattr(plain, name) or _set_by_base(cls, name):
            continue
        found.append([owner, name])
    return found


def _set_by_base(cls: type, name: str) -> bool:
    for base in cls.__mro__[1:]:
        if base is object or base.__module__ == cls.__module__:
            continue
        try:
            source = inspect.getsource(base)
        except (OSError, TypeError):
            continue  # written in C
        if re.search(rf"self\.{re.escape(name)}\b[^=\n]*=[^=]", source):
            return True
    return False


def layers(cell: Any) -> list[dict[str, Any]]:
    """Kind, path, settings and parameter shapes of every layer that a graph may have, in the order of their making."""
    found = []
    for path, inner in cell.cells_and_names():
        kind = _kind(inner)
        if path and kind is not None:
            shapes = {name: list(parameter.shape) for name, parameter in inner.parameters_and_names(expand=False)}
            found.append({"kind": kind, "path": path, "values": dict(_values(kind, inner)), "parameters": shapes})
        elif kind is None:
            found += [item for name, primitive in _primitives(inner) if (item := _primitive(path, name, primitive))]
    return found


def _kind(cell: Any) -> str | None:
    from mindspore import nn

    kinds = ("Conv2d", "Dense", "MaxPool2d", "AvgPool2d", "BatchNorm2d", "LRN", "Dropout")
    return next((kind for kind in kinds if isinstance(cell, getattr(nn, kind, ()))), None) or (
        "LRN" if type(cell).__name__ == "LRN" else None
    )


def _values(kind: str, cell: Any) -> Iterator[tuple[str, Any]]:
    if kind == "LRN":
        holder = getattr(cell, "lrn_op", cell)
        for name in ("depth_radius", "bias", "alpha", "beta"):
            value = getattr(holder, name, None)
            if isinstance(value, int | float):
                yield name, value
        return
    names = ("in_channels", "out_channels", "kernel_size", "stride", "pad_mode", "dilation", "group", "has_bias",
             "num_features", "eps", "p")  # fmt: skip
    for name in names:
        value = getattr(cell, name, None)
        if name in ("kernel_size", "stride", "dilation") and isinstance(value, int):
            value = (value, value)
        if isinstance(value, bool | int | float | str | tuple):
            yield name, list(value) if isinstance(value, tuple) else value
    if kind == "Dense" and cell.activation is not None:
        yield "activation", type(cell.activation).__name__.lower()


def _primitives(cell: Any) -> Iterator[tuple[str, Any]]:
    yield from getattr(cell, "_primitives", {}).items()


_PRIMITIVES = {"MaxPool": "MaxPool2d", "AvgPool": "AvgPool2d", "LRN": "LRN"}


def _primitive(path: str, name: str, primitive: Any) -> dict[str, Any] | None:
    """A pool or LRN that the port holds as an operator, such as `self.pool = ops.MaxPool(3, 2, "same")`."""
    kind = _PRIMITIVES.get(type(primitive).__name__)
    if kind is None:
        return None
    own = f"{path}.{name}" if path else name
    if kind == "LRN":
        values = {key: getattr(primitive, key) for key in ("depth_radius", "bias", "alpha", "beta")}
    else:
        kernel, strides = (list(getattr(primitive, key))[-2:] for key in ("kernel_size", "strides"))
        values = {"kernel_size": kernel, "stride": strides, "pad_mode": str(primitive.pad_mode)}
    return {"kind": kind, "path": own, "values": values, "parameters": {}}


def fill(cell: Any, values: Mapping[str, np.ndarray]) -> None:
    """Sets parameters by the paths of their layers."""
    import mindspore as ms

    held = dict(cell.cells_and_names())
    for key, value in values.items():
        path, _, name = key.rpartition(".")
        getattr(held[path], name).set_data(ms.Tensor(value))


def watch(cell: Any, forced: Mapping[str, np.ndarray], taken: dict[str, np.ndarray], running: list[str]) -> list[str]:
    """Records what each layer in `forced` is given and gives, and puts TensorFlow's value in its place.

    Returns notes. On CPU MindSpore's own LRN fails for radius 2: it is composed there, which is no slip of the port.
    """
    import mindspore as ms

    notes: list[str] = []
    held = dict(cell.cells_and_names())
    on_cpu = ms.get_context("device_target") == "CPU"
    for path, inner in held.items():
        primitive = getattr(inner, "lrn_op", None)
        if primitive is not None and on_cpu and _kind(inner) == "LRN":
            object.__setattr__(inner, "construct", _composed_lrn(primitive))
            notes.append("nn.LRN was composed of other operators for this run: MindSpore's own fails on CPU")
        if path in forced:
            inner.register_forward_pre_hook(_before(path, taken, running))
            inner.register_forward_hook(_after(path, forced[path], taken, running))
    return list(dict.fromkeys(notes))


def _before(path: str, taken: dict[str, np.ndarray], running: list[str]) -> Callable[..., None]:
    def hook(_: Any, arguments: tuple[Any, ...]) -> None:
        running.append(path)
        taken[f"in:{path}"] = arguments[0].asnumpy()

    return hook


def _after(path: str, forced: np.ndarray, taken: dict[str, np.ndarray], running: list[str]) -> Callable[..., Any]:
    import mindspore as ms

    def hook(_: Any, arguments: tuple[Any, ...], output: Any) -> Any:
        taken[f"out:{path}"] = output.asnumpy()
        running.pop()
        return ms.Tensor(forced)

    return hook


def _composed_lrn(primitive: Any) -> Callable[[Any], Any]:
    from mindspore import ops

    radius, bias, alpha, beta = (getattr(primitive, name) for name in ("depth_radius", "bias", "alpha", "beta"))

    def construct(x: Any) -> Any:
        channels = np.arange(x.shape[1])
        near = (np.abs(channels[:, None] - channels) <= radius).astype(np.float32)
        import mindspore as ms

        total = ops.conv2d(ops.square(x), ms.Tensor(near[:, :, None, None]))
        return x * ops.pow(bias + alpha * total, -beta)

    return construct
