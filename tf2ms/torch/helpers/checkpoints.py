"""Checkpoints of several states in one file.

Read as text and never imported; see `tf2ms/torch/helpers/__init__.py`.
"""

# mypy: ignore-errors

import argparse
import json

import mindspore as ms
import numpy as np
from mindspore import ops


def save_state(state, path):
    """Writes a dictionary as one checkpoint: its tensors as `key.name`, the rest as JSON beside them."""
    tensors = []

    def plain(value, name):
        if isinstance(value, ms.Tensor):
            tensors.append({"name": name, "data": value})
            return {"tensor": name}
        if isinstance(value, dict):
            return {k: plain(v, f"{name}.{k}" if name else str(k)) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(v, f"{name}.{i}") for i, v in enumerate(value)]
        if isinstance(value, argparse.Namespace):
            return plain(vars(value), name)
        return value.item() if isinstance(value, np.generic) else value

    text = json.dumps(plain(state, ""))
    ms.save_checkpoint(tensors, path, append_dict={"__state__": text})


def load_state(path):
    """Reads what `save_state` wrote; from another checkpoint its parameters."""
    path = str(path)
    tensors = ms.load_checkpoint(path if path.endswith(".ckpt") else f"{path}.ckpt")
    if "__state__" not in tensors:
        return tensors
    return json.loads(tensors["__state__"], object_hook=lambda d: tensors[d["tensor"]] if d.keys() == {"tensor"} else d)


def optimizer_state(optimizer):
    """The state of an optimizer and the settings of its groups, without the weights that it trains."""
    weights = {id(p) for p in optimizer.parameters}
    groups = [
        {k: float(v) if isinstance(v, ms.Tensor) else v for k, v in group.items() if k != "params"}
        for group in optimizer.param_groups
    ]
    return {"state": {p.name: p for p in optimizer.get_parameters() if id(p) not in weights}, "param_groups": groups}


def load_optimizer(optimizer, saved):
    """Gives an optimizer a state that `optimizer_state` returned."""
    names = {p.name: p for p in optimizer.get_parameters()}
    for name, value in saved["state"].items():
        ops.assign(names[name], value)
    for group, settings in zip(optimizer.param_groups, saved["param_groups"]):
        for key, value in settings.items():
            if isinstance(group[key], ms.Tensor):
                ops.assign(group[key], ms.Tensor(value, group[key].dtype))
            else:
                group[key] = tuple(value) if isinstance(value, list) else value


def scheduler_state(scheduler):
    """The counters and settings of a learning rate schedule."""
    return {k: v for k, v in vars(scheduler).items() if isinstance(v, (ms.Parameter, int, float))}


def load_scheduler(scheduler, saved):
    """Gives a schedule a state that `scheduler_state` returned."""
    for key, value in saved.items():
        current = getattr(scheduler, key)
        if isinstance(current, ms.Parameter):
            ops.assign(current, value)
        else:
            setattr(scheduler, key, value)
