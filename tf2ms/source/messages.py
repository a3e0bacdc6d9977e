"""From the bytes of a file to the protobuf message they spell, or an error that says what they look like."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet
from tensorboard.compat.proto import meta_graph_pb2
from tensorboard.compat.proto.config_pb2 import RunMetadata
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.meta_graph_pb2 import MetaGraphDef

from tf2ms.errors import SourceError
from tf2ms.source.text import parse_text

EXPECTED = "a .pb, .pbtxt or .meta graph, a TensorBoard log folder, a SavedModel folder, or a .keras or .h5 model"

MessageT = TypeVar("MessageT", bound=Message)


def decode_file(path: Path, data: bytes) -> tuple[Message, bool]:
    """The GraphDef, MetaGraphDef or SavedModel in a file, and whether it is text.

    Raises SourceError for anything else; `path` is for the message.
    """
    _refuse_known(path, data)
    message_type = _text_type(data)
    if message_type is not None:
        return _decode_text(path, data, message_type), True
    return _decode_binary(path, data), False


@cache
def saved_model_type() -> type[Message]:
    """TensorFlow's SavedModel message, which tensorboard does not ship, over tensorboard's MetaGraphDef."""
    file = descriptor_pb2.FileDescriptorProto(
        name="tf2ms/saved_model.proto",
        package="tf2ms",
        syntax="proto3",
        dependency=[meta_graph_pb2.DESCRIPTOR.name],
    )
    fields = file.message_type.add(name="SavedModel").field
    kinds = descriptor_pb2.FieldDescriptorProto
    fields.add(name="saved_model_schema_version", number=1, type=kinds.TYPE_INT64, label=kinds.LABEL_OPTIONAL)
    fields.add(
        name="meta_graphs",
        number=2,
        type=kinds.TYPE_MESSAGE,
        label=kinds.LABEL_REPEATED,
        type_name="." + MetaGraphDef.DESCRIPTOR.full_name,
    )
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tf2ms.SavedModel"))


# Text

_FIRST_FIELD = re.compile(rb"(?:\xef\xbb\xbf)?(?:\s|#[^\n]*\n)*([a-z_]+)\s*[:{<]")


def _text_type(data: bytes) -> type[Message] | None:
    """What a text file spells, by its first field; None for a binary file."""
    first = _FIRST_FIELD.match(data, 0, 2**16)
    if first is None or b"\0" in data[:4096]:
        return None
    name = first[1].decode()
    return next((kind for kind in _message_types() if name in kind.DESCRIPTOR.fields_by_name), None)


def _message_types() -> tuple[type[Message], ...]:
    return GraphDef, MetaGraphDef, saved_model_type()


def _decode_text(path: Path, data: bytes, message_type: type[MessageT]) -> MessageT:
    try:
        message = parse_text(data.decode("utf-8-sig"), message_type)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SourceError(f"{path}: line {line}: not UTF-8 text: export the graph again") from error
    except text_format.ParseError as error:
        at = error.GetLine()
        reason = re.sub(r"^\d+:\d+ : ", "", str(error)).replace("tensorboard.", "").rstrip(".")
        where = f"{path}: line {at}" if at else str(path)
        raise SourceError(f"{where}: {reason}: a truncated or edited {message_type.DESCRIPTOR.name}?") from error
    if not plausible(message):
        raise SourceError(f"{path}: has nodes without a name or an op: export the graph again")
    return message


# Binary


def decode(data: bytes, message_type: type[MessageT]) -> MessageT | None:
    """The message, if `data` is one: protobuf alone accepts much that is not."""
    try:
        message = message_type.FromString(data)
    except (DecodeError, ValueError):  # ValueError: protobuf's Python implementation, on text that is not UTF-8
        return None
    return message if plausible(message) and not len(UnknownFieldSet(message)) else None


def plausible(message: Message) -> bool:
    """Whether every node of every graph in the message has a name and an op."""
    return all(node.name and node.op and node.op.isprintable() for graph in _graphs(message) for node in graph.node)


def _graphs(message: Any) -> Iterator[GraphDef]:
    if isinstance(message, GraphDef):
        yield message
    elif isinstance(message, MetaGraphDef):
        yield message.graph_def
    elif isinstance(message, RunMetadata):
        for functions in message.function_graphs:
            yield functions.pre_optimization_graph
    else:
        for meta_graph in message.meta_graphs:
            yield meta_graph.graph_def


def _decode_binary(path: Path, data: bytes) -> Message:
    empty = None
    for kind in _message_types():
        message = decode(data, kind)
        if message is not None and any(graph.node for graph in _graphs(message)):
            return message
        empty = empty or message
    if empty is not None:
        return empty
    complete = data[: _complete_fields(data)]
    for kind in _message_types():
        if complete and len(complete) < len(data) and decode(complete, kind) is not None:
            raise SourceError(
                f"{path}: a truncated {kind.DESCRIPTOR.name}: the file ends at byte {len(data):,}, within a field "
                f"that begins at byte {len(complete):,}: copy or export it again"
            )
    raise SourceError(f"{path}: {_looks(data)}: give {EXPECTED}")


def _complete_fields(data: bytes) -> int:
    """How many bytes at the start are whole length-delimited or varint fields."""
    end = 0
    while end < len(data):
        tag, at = _varint(data, end)
        value, at = _varint(data, at)
        if tag & 7 == 2:
            at += value
        if tag >> 3 == 0 or tag & 7 not in (0, 2) or at > len(data):
            break
        end = at
    return end


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at byte `at` and where it ends; past the end of the data if it is cut."""
    value = shift = 0
    while at < len(data) and shift < 64:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return value, at
    return value, len(data) + 1


# What else a user may hold

_MAGIC = (
    (b"PK\x03\x04", "a zip archive without a Keras model: unpack it"),
    (b"\x1f\x8b", "gzip-compressed: unpack it first"),
    (b"\x93NUMPY", "a NumPy array file: weights without a graph; give the graph, and this file as the checkpoint"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
    (b"%PDF", "a PDF document"),
    (b"\x7fELF", "a program"),
    (b"\xff\xfe", "UTF-16 text: save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text: save it as UTF-8"),
    (b"version https://git-lfs", "a Git LFS pointer: fetch the file itself with git lfs pull"),
)
_INDEX_MAGIC = bytes.fromhex("57fb808b247547db")


def _refuse_known(path: Path, data: bytes) -> None:
    """SourceError for files that are certainly something else."""
    for magic, what in _MAGIC:
        if data.startswith(magic):
            raise SourceError(f"{path}: looks like {what}" + (f": give {EXPECTED}" if ":" not in what else ""))
    if data[4:8] == b"TFL3":
        raise SourceError(f"{path}: looks like a TensorFlow Lite model: give the model it was made from: {EXPECTED}")
    shard = re.fullmatch(r"(.+)\.data-\d{5}-of-\d{5}", path.name)
    if data.endswith(_INDEX_MAGIC) or data.startswith((b"model_checkpoint_path:", b"all_model_checkpoint")) or shard:
        raise SourceError(f"{path}: a checkpoint is weights without a graph: {give_graph_too(path)}")


def _looks(data: bytes) -> str:
    """What an unrecognised file looks like."""
    start = data[:4096].lstrip()
    if start[:1] in (b"{", b"[") and b"\0" not in start:
        return "looks like JSON, not a graph"
    if start[:1] == b"<" and b"\0" not in start:
        return "looks like HTML or XML, not a graph"
    text = data[:4096].decode("utf-8", "ignore")
    if text and all(character.isprintable() or character.isspace() for character in text):
        return "is text, but not the text of a graph"
    return "is not a TensorFlow graph"


def give_graph_too(path: Path | None = None) -> str:
    """What to do with a checkpoint: name the .meta file beside it if there is one."""
    prefix = re.sub(r"\.(index|data-\d{5}-of-\d{5})$", "", str(path)) if path else ""
    meta = Path(prefix + ".meta")
    graph = str(meta) if path and meta.is_file() else "the graph (.meta, .pbtxt, .pb or log)"
    return f"give {graph}, and this as the checkpoint"
