"""Keras models and traced functions: their inference graph, with its variables as resources and their values."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.compat.proto.graph_pb2 import GraphDef

from tf2ms.errors import SourceError
from tf2ms.source.lazy import tensorflow
from tf2ms.source.saved_model import Signature

HDF5 = b"\x89HDF\r\n\x1a\n"
ZIP = b"PK\x03\x04"
_TRUSTED = ("keras", "tensorflow", "tf_keras", "builtins")

Traced = tuple[GraphDef, Signature, Callable[[], Mapping[str, np.ndarray]]]
"""(graph, what it takes and gives, its variables' values)."""


def is_keras_file(path: Path, head: bytes) -> bool:
    """Whether the file is HDF5, or a zip archive as Keras writes it; `head` is how it begins."""
    if head.startswith(ZIP) and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return {"config.json", "model.weights.h5"} <= set(archive.namelist())
    return head.startswith(HDF5)


def read_keras(path: Path) -> Traced:
    """The inference graph of the model in a `.keras` or `.h5` file; no code in the file is run.

    Raises SourceError for weights without a model, for layers of the user's own or with code in them, and for what
    Keras cannot load.
    """
    keras = tensorflow("reading a Keras model").keras
    _check_config(path, _config(path))
    try:
        with tempfile.TemporaryDirectory() as folder:  # Keras goes by the name
            named = Path(folder) / f"model.{'keras' if zipfile.is_zipfile(path) else 'h5'}"
            named.symlink_to(path.resolve())
            model = keras.models.load_model(named, compile=False, safe_mode=True)
    except (ValueError, TypeError, KeyError, AttributeError, ImportError, OSError) as error:
        raise SourceError(f"{path}: Keras cannot load the model: {_first_line(error)}") from error
    return trace_keras(model)


def described_keras(path: Path, text: bytes) -> tuple[GraphDef, Signature, tuple[str, ...]]:
    """(the inference graph of a model that a log describes, its signature, its variables in order), without weights.

    Raises SourceError as `read_keras` does.
    """
    keras = tensorflow("reading a Keras model").keras
    try:
        config = json.loads(text)
        _check_config(path, config)
        model = keras.models.model_from_json(text.decode())
    except (ValueError, TypeError, KeyError, AttributeError, ImportError, RecursionError) as error:
        raise SourceError(f"{path}: Keras cannot build the model that is described: {_first_line(error)}") from error
    graph_def, signature, _ = trace_keras(model)
    names = [variable.path for variable in model.variables]
    return graph_def, signature, tuple(names)


def trace_keras(model: Any) -> Traced:
    """The inference graph of a Keras model. Raises SourceError for a model that was never built."""
    tf = tensorflow("tracing a Keras model")
    if not getattr(model, "inputs", None):
        raise SourceError("the Keras model has no input shapes yet: call it once, or save it after training")
    specs = [tf.TensorSpec(item.shape, item.dtype, name=item.name.replace(":", "_")) for item in model.inputs]

    def call(*inputs: Any) -> Any:
        return model(inputs[0] if len(inputs) == 1 else list(inputs), training=False)

    names = {id(variable.value): variable.path for variable in model.variables if hasattr(variable, "path")}
    return trace(tf.function(call).get_concrete_function(*specs), names)


def trace(function: Any, names: Mapping[int, str] | None = None) -> Traced:
    """The graph of a concrete function; `names` gives variables better names than their own, by their id."""
    tf = tensorflow("reading a tf.function")
    inner = function.graph
    graph = GraphDef.FromString(inner.as_graph_def(add_shapes=True).SerializeToString())
    variables = {id(variable.handle): variable for variable in inner.variables}
    captured = {placeholder.op.name: value for value, placeholder in inner.captures}
    loaders: dict[str, Callable[[], np.ndarray]] = {}
    for node in graph.node:
        if node.name not in captured:
            continue
        held = variables.get(id(captured[node.name]))
        node.ClearField("attr")
        if held is None:
            if captured[node.name].dtype == tf.resource:
                raise SourceError(f"the function reads '{node.name}', which is no variable: a table or an iterator")
            tensor = tf.make_tensor_proto(captured[node.name].numpy())
            node.op, node.attr["dtype"].type = "Const", tensor.dtype
            node.attr["value"].tensor.ParseFromString(tensor.SerializeToString())
            shape = tensor.tensor_shape
        else:
            name = _unique((names or {}).get(id(held)) or held.name.partition(":")[0], loaders)
            loaders[name] = partial(_value, held)
            node.op, shape = "VarHandleOp", tf.TensorShape([]).as_proto()
            node.attr["dtype"].type = held.dtype.as_datatype_enum
            node.attr["shape"].shape.ParseFromString(held.shape.as_proto().SerializeToString())
            node.attr["shared_name"].s = name.encode()
        node.attr["_output_shapes"].list.shape.add().ParseFromString(shape.SerializeToString())
    own = [tensor for tensor in inner.inputs if tensor.op.name not in captured]
    inputs = tuple((tensor.op.name, tensor.name) for tensor in own)
    outputs = tuple((f"output_{index}", tensor.name) for index, tensor in enumerate(inner.outputs))
    if not outputs:
        raise SourceError("the function returns no tensor")
    return graph, Signature("call", inputs, outputs), partial(_loaded, loaders)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _value(variable: Any) -> np.ndarray:
    return np.asarray(variable.numpy())


def _loaded(loaders: Mapping[str, Callable[[], np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: load() for name, load in loaders.items()}


def _unique(name: str, taken: Mapping[str, Any]) -> str:
    number, found = 0, name
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found


# What a stranger's file may hold


def _config(path: Path) -> Any:
    """The model's description."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return json.loads(archive.read("config.json"))
        import h5py

        with h5py.File(path, "r") as file:
            text = file.attrs.get("model_config")
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise SourceError(f"{path}: a damaged Keras file: {error}") from error
    if text is None:
        raise SourceError(
            f"{path}: weights without a model: build the model in Python, load them into it with "
            "model.load_weights(...), and save both with model.save('model.keras')"
        )
    return json.loads(text)


def _check_config(path: Path, config: Any) -> None:
    """SourceError for a description that asks for code: lambdas, or classes that Keras does not bring."""
    foreign, code = set(), set()
    for item in _described(config):
        name, module = str(item.get("class_name")), item.get("module")
        inner: Any = item.get("config")
        inner = inner if isinstance(inner, dict) else {}
        if name in ("__lambda__", "Lambda") or "function_type" in inner:
            code.add(str(inner.get("name") or name))
        elif module is not None and str(module).partition(".")[0] not in _TRUSTED:
            foreign.add(f"{module}.{name}")
        elif item.get("registered_name") and ">" in str(item["registered_name"]):
            foreign.add(str(item["registered_name"]))
    if code:
        raise SourceError(
            f"{path}: holds Python code ({', '.join(sorted(code))}), which is not run: load it yourself and export it "
            "with model.export(folder)"
        )
    if foreign:
        raise SourceError(
            f"{path}: needs classes that are not Keras's own ({', '.join(sorted(foreign))}): load it with them in "
            "Python and export it with model.export(folder)"
        )


def _described(value: Any) -> Iterator[dict[str, Any]]:
    """Every object that the description describes."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            if "class_name" in item:
                yield item
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
