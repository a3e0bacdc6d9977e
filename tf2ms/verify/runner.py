"""Runs a generated network in MindSpore, on inputs in TensorFlow's terms."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tf2ms.api import Conversion


def load_module(code: str, stem: str) -> ModuleType:
    """The generated code as a module. MindSpore compiles from source, so it comes from a file."""
    folder = tempfile.mkdtemp(prefix="tf2ms_")
    path = Path(folder) / f"{stem}_ms.py"
    path.write_text(code, encoding="utf-8")
    name = f"{stem}_ms_{Path(folder).name}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot import {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def load_network(conversion: Conversion, mode: str) -> Any:
    """The generated network as a MindSpore cell with the conversion's weights, ready for inference."""
    import mindspore as ms

    ms.set_context(mode=ms.GRAPH_MODE if mode == "graph" else ms.PYNATIVE_MODE)
    network = load_module(conversion.code, conversion.stem).create_network()
    if conversion.weights is not None:
        values = {name: ms.Parameter(ms.Tensor(value), name=name) for name, value in conversion.weights.items()}
        ms.load_param_into_net(network, values, strict_load=True)
    return network.set_train(False)


def run_network(network: Any, conversion: Conversion, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The network's outputs on `feeds`, both in TensorFlow's layout."""
    import mindspore as ms

    from tf2ms.api import feed_of

    arrays = []
    for item in conversion.map["inputs"]:
        if item["feeds"] == "backbone":
            value = feed_of(feeds, item["tensor"]).astype(item["dtype"], copy=False)
            arrays.append(ms.Tensor(np.ascontiguousarray(value.transpose(item["perm"]) if item["perm"] else value)))
    outputs = network(*arrays)
    outputs = outputs if isinstance(outputs, tuple | list) else (outputs,)
    results = []
    for item, output in zip(conversion.map["outputs"], outputs, strict=False):
        array = output.asnumpy() if isinstance(output, ms.Tensor) else np.asarray(output)
        results.append(array.transpose(np.argsort(item["perm"])) if item["perm"] else array)
    return results
