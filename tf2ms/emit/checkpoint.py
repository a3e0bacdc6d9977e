"""MindSpore checkpoints, written without MindSpore: a machine that converts may have TensorFlow alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from tf2ms.errors import OutputError

_SLICE_BYTES = 2**29  # as MindSpore slices large parameters: a protobuf message must stay below 2 GiB
_TYPES = {  # NumPy's name -> MindSpore's
    "bool": "Bool",
    "bfloat16": "BFloat16",
    **{f"float{bits}": f"Float{bits}" for bits in (16, 32, 64)},
    **{f"int{bits}": f"Int{bits}" for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": f"UInt{bits}" for bits in (8, 16, 32, 64)},
}


def write_checkpoint(path: Path, parameters: Mapping[str, np.ndarray]) -> None:
    """Write a `.ckpt` that `mindspore.load_checkpoint` reads: the same names, arrays and order.

    `parameters`: arrays of any shape but (0,), which MindSpore reads as a scalar; of bool, integer, float or bfloat16
    (ml_dtypes) type, in any memory layout and byte order. The file appears whole or not at all. Raises OutputError for
    other arrays and for a folder that cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            for name, array in parameters.items():
                reason = _refusal(array)
                if reason:
                    raise OutputError(f"{path}: parameter {name} {reason}: leave it out")
                file.writelines(_messages(name, array))
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _refusal(array: np.ndarray) -> str:
    """Why MindSpore cannot load the array, "" if it can."""
    if array.dtype.name not in _TYPES:
        return f"has type {array.dtype}, which MindSpore's checkpoints lack"
    return "has shape (0,), which MindSpore reads as a scalar" if array.shape == (0,) else ""


def _messages(name: str, array: np.ndarray) -> Iterator[bytes]:
    """One serialized Checkpoint for each slice; one after the other they are the Checkpoint of them all."""
    data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    for begin in range(0, max(len(data), 1), _SLICE_BYTES):
        message = _message_type()()
        value = message.value.add(tag=name)
        value.tensor.dims.extend(array.shape)
        value.tensor.tensor_type = _TYPES[array.dtype.name]
        value.tensor.tensor_content = data[begin : begin + _SLICE_BYTES]
        yield message.SerializeToString()


@cache
def _message_type() -> Any:
    """MindSpore's `Checkpoint`, as in its checkpoint.proto, without the fields for hash tables."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="checkpoint.proto", package="tf2ms", syntax="proto2")
    for message, *fields in (
        ("Checkpoint", ("value", kinds.LABEL_REPEATED, kinds.TYPE_MESSAGE, ".tf2ms.Value")),
        (
            "Value",
            ("tag", kinds.LABEL_REQUIRED, kinds.TYPE_STRING, ""),
            ("tensor", 1, kinds.TYPE_MESSAGE, ".tf2ms.Tensor"),
        ),
        (
            "Tensor",
            ("dims", kinds.LABEL_REPEATED, kinds.TYPE_INT64, ""),
            ("tensor_type", kinds.LABEL_REQUIRED, kinds.TYPE_STRING, ""),
            ("tensor_content", kinds.LABEL_REQUIRED, kinds.TYPE_BYTES, ""),
        ),
    ):
        descriptor = file.message_type.add(name=message)
        for number, (name, label, kind, message_type) in enumerate(fields, 1):
            descriptor.field.add(name=name, number=number, label=label, type=kind, type_name=message_type or None)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tf2ms.Checkpoint"))
