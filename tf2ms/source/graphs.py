"""Graph files, told apart by what is in them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet
from tensorboard.compat.proto import meta_graph_pb2
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.meta_graph_pb2 import MetaGraphDef

from tf2ms.errors import SourceError
from tf2ms.source.events import LoggedGraph, is_event_file, newest_graph
from tf2ms.source.naming import suggested_name
from tf2ms.source.text import parse_text

MAX_BYTES = 2**31 - 1  # what a protobuf can hold
EXPECTED = "a .pb, .pbtxt or .meta graph, a TensorBoard log folder, or a SavedModel folder"

MessageT = TypeVar("MessageT", bound=Message)


@dataclass(frozen=True)
class Source:
    """A graph as it was found.

    `path`: what the user gave (an empty path for a graph in memory).
    `kind`: in human words: "GraphDef", "GraphDef (text)", "MetaGraphDef", "MetaGraphDef (text)", "TensorBoard log",
    "SavedModel".
    `graph_def`: the graph, in tensorboard's message class; it has one node or more, each with a name and an op.
    `name`: what the file or folder name suggests as the model's name, None if it says nothing.
    `notes`: choices made while reading that the user should know of.
    """

    path: Path
    kind: str
    graph_def: GraphDef
    name: str | None = None
    notes: tuple[str, ...] = ()


def read_source(source: str | os.PathLike[str] | Any) -> Source:
    """The graph in a file, a folder or a Python object.

    `source`: a path; or a GraphDef (tensorboard's class or TensorFlow's), or an object with `as_graph_def()` such as a
    `tf.Graph`. Raises SourceError, which says what the input looks like and what to give instead.
    """
    if not isinstance(source, str | os.PathLike):
        return _from_object(source)
    path = Path(source)
    try:
        found = _from_folder(path) if path.is_dir() else _from_file(path)
    except (OSError, MemoryError, ValueError) as error:  # ValueError: a null character in the path
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise SourceError(f"{path}: cannot be read: {reason}") from error
    if not found.graph_def.node:
        raise SourceError(f"{path}: the graph in it holds no nodes ({found.kind}): give {EXPECTED} of a built model")
    return found


def _from_object(source: Any) -> Source:
    """A graph that is in memory already."""
    if hasattr(source, "as_graph_def"):
        try:
            source = source.as_graph_def(add_shapes=True)
        except TypeError:
            source = source.as_graph_def()
    descriptor = getattr(source, "DESCRIPTOR", None)
    if not isinstance(source, Message) or descriptor is None or descriptor.name != "GraphDef":
        raise SourceError(f"a {type(source).__name__} is not a graph: give a path, a GraphDef or a tf.Graph")
    graph_def = GraphDef.FromString(source.SerializeToString())
    if not _plausible(graph_def):
        raise SourceError("the GraphDef has nodes without a name or an op: give the GraphDef of a built tf.Graph")
    if not graph_def.node:
        raise SourceError("the GraphDef holds no nodes: give the graph of a built model")
    return Source(Path(), "GraphDef", graph_def)


# Folders


def _from_folder(path: Path) -> Source:
    """A SavedModel or a TensorBoard log folder."""
    for name in ("saved_model.pb", "saved_model.pbtxt"):
        if (path / name).is_file():
            found = _from_file(path / name)
            return Source(path, found.kind, found.graph_def, suggested_name(path), found.notes)
    entries = sorted(path.iterdir())
    inner = [file for folder in entries if folder.is_dir() for file in _readable_entries(folder)]
    logs = [file for file in entries + inner if "tfevents" in file.name and file.is_file()]
    if logs:
        return _from_log(path, logs)
    graphs = [file.name for file in entries if file.suffix in (".meta", ".pb", ".pbtxt")]
    if graphs:
        raise SourceError(f"{path}: a folder; give the graph file in it: {_few(graphs)}")
    if any(file.name == "checkpoint" or file.suffix == ".index" for file in entries):
        raise SourceError(f"{path}: holds a checkpoint, which is weights without a graph: {_give_graph_too()}")
    what = f"holds no graph (it holds {_few(file.name for file in entries)})" if entries else "is an empty folder"
    raise SourceError(f"{path}: {what}: give {EXPECTED}")


def _readable_entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _from_log(path: Path, files: list[Path]) -> Source:
    """The newest graph among event files."""
    graphs: list[tuple[Path, LoggedGraph]] = []
    failures: list[SourceError] = []
    for file in files:
        try:
            graph = newest_graph(file)
        except SourceError as error:
            failures.append(error)
            continue
        if graph is not None:
            graphs.append((file, graph))
    if not graphs:
        if failures:
            raise failures[0]
        count = f"{len(files)} event file{'s' if len(files) > 1 else ''}"
        raise SourceError(
            f"{path}: a TensorBoard log without a graph ({count}): write it with "
            "tf.compat.v1.summary.FileWriter(folder, graph), or give a .pb, .pbtxt or .meta file"
        )
    file, graph = max(graphs, key=lambda found: (found[1].wall_time, found[0]))
    notes = [str(error) for error in failures] + [graph.note] * bool(graph.note)
    if len(graphs) > 1:
        where = file.relative_to(path) if path != file else file.name
        notes.append(f"{len(graphs)} event files hold graphs; the newest was read: {where}")
    meta = graph.field == "meta_graph_def"
    message = _decode(graph.data, MetaGraphDef if meta else GraphDef)
    if message is None:
        raise SourceError(f"{file}: the graph in it cannot be decoded: write the log again")
    graph_def = _with_defaults(message) if isinstance(message, MetaGraphDef) else message
    return Source(path, "TensorBoard log", graph_def, suggested_name(path), tuple(notes))


# Files


def _from_file(path: Path) -> Source:
    """A graph from one file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        if Path(f"{path}.index").is_file():
            raise SourceError(f"{path}: a checkpoint is weights without a graph: {_give_graph_too(path)}") from None
        raise SourceError(f"{path}: no such file or folder") from None
    if not stat.S_ISREG(status.st_mode):
        raise SourceError(f"{path}: not a regular file: give {EXPECTED}")
    if status.st_size == 0:
        raise SourceError(f"{path}: the file is empty: give {EXPECTED}")
    with path.open("rb") as file:
        if is_event_file(file.read(12)):
            return _from_log(path, [path])
        if status.st_size > MAX_BYTES:
            raise SourceError(f"{path}: {status.st_size:,} bytes are more than a protobuf can hold (2 GiB)")
        file.seek(0)
        data = file.read()
    _refuse_known(path, data)
    message_type = _text_type(data)
    message = _decode_text(path, data, message_type) if message_type else _decode_binary(path, data)
    suffix = " (text)" if message_type and not isinstance(message, _saved_model_type()) else ""
    name = suggested_name(path)
    if isinstance(message, GraphDef):
        return Source(path, "GraphDef" + suffix, message, name)
    if isinstance(message, MetaGraphDef):
        return Source(path, "MetaGraphDef" + suffix, _with_defaults(message), name)
    meta_graph, notes = _serving(path, message)
    if path.stem == "saved_model":
        name = suggested_name(path.parent)
    return Source(path, "SavedModel", _with_defaults(meta_graph), name, notes)


def _serving(path: Path, saved_model: Any) -> tuple[MetaGraphDef, tuple[str, ...]]:
    """The meta graph that is made for serving, else the first."""
    found = list(saved_model.meta_graphs)
    if not found:
        raise SourceError(f"{path}: a SavedModel without any graph: export it again with a signature")
    tags = [sorted(meta_graph.meta_info_def.tags) for meta_graph in found]
    chosen = max(range(len(found)), key=lambda i: (tags[i] == ["serve"], "serve" in tags[i], -i))
    note = f"the SavedModel holds {len(found)} graphs; read: the one tagged {', '.join(tags[chosen]) or '(nothing)'}"
    return found[chosen], (note,) if len(found) > 1 else ()


def _with_defaults(meta_graph: MetaGraphDef) -> GraphDef:
    """The graph, with the attributes that were left out of it because they have their op's default value."""
    graph_def, info = meta_graph.graph_def, meta_graph.meta_info_def
    if not info.stripped_default_attrs:
        return graph_def
    defaults = {
        op.name: [attr for attr in op.attr if attr.HasField("default_value")] for op in info.stripped_op_list.op
    }
    for nodes in (graph_def.node, *(function.node_def for function in graph_def.library.function)):
        for node in nodes:
            for attr in defaults.get(node.op, ()):
                if attr.name not in node.attr:
                    node.attr[attr.name].CopyFrom(attr.default_value)
    return graph_def


@cache
def _saved_model_type() -> type[Message]:
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
    first = _FIRST_FIELD.match(data)
    if first is None or b"\0" in data[:4096]:
        return None
    name = first[1].decode()
    return next((kind for kind in _message_types() if name in kind.DESCRIPTOR.fields_by_name), None)


def _message_types() -> tuple[type[Message], ...]:
    return GraphDef, MetaGraphDef, _saved_model_type()


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
    if not _plausible(message):
        raise SourceError(f"{path}: has nodes without a name or an op: export the graph again")
    return message


# Binary


def _decode(data: bytes, message_type: type[MessageT]) -> MessageT | None:
    """The message, if `data` is one: protobuf alone accepts much that is not."""
    try:
        message = message_type.FromString(data)
    except (DecodeError, ValueError):  # ValueError: protobuf's Python implementation, on text that is not UTF-8
        return None
    return message if _plausible(message) and not len(UnknownFieldSet(message)) else None


def _plausible(message: Message) -> bool:
    """Whether every node of every graph in the message has a name and an op."""
    return all(node.name and node.op and node.op.isprintable() for graph in _graphs(message) for node in graph.node)


def _graphs(message: Any) -> Iterator[GraphDef]:
    if isinstance(message, GraphDef):
        yield message
    elif isinstance(message, MetaGraphDef):
        yield message.graph_def
    else:
        for meta_graph in message.meta_graphs:
            yield meta_graph.graph_def


def _decode_binary(path: Path, data: bytes) -> Message:
    empty = None
    for kind in _message_types():
        message = _decode(data, kind)
        if message is not None and any(graph.node for graph in _graphs(message)):
            return message
        empty = empty or message
    if empty is not None:
        return empty
    complete = data[: _complete_fields(data)]
    for kind in _message_types():
        if complete and len(complete) < len(data) and _decode(complete, kind) is not None:
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
        elif tag & 7 != 0:
            break
        if at > len(data):
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
    (b"\x89HDF\r\n\x1a\n", "a Keras or HDF5 file: load it and write a SavedModel with model.export(folder)"),
    (
        b"PK\x03\x04",
        "a zip archive; of a .keras file write a SavedModel with model.export(folder), else unpack it first",
    ),
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
        raise SourceError(f"{path}: a checkpoint is weights without a graph: {_give_graph_too(path)}")


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


def _give_graph_too(path: Path | None = None) -> str:
    """What to do with a checkpoint: name the .meta file beside it if there is one."""
    prefix = re.sub(r"\.(index|data-\d{5}-of-\d{5})$", "", str(path)) if path else ""
    meta = Path(prefix + ".meta")
    graph = str(meta) if path and meta.is_file() else "the graph (.meta, .pbtxt, .pb or log)"
    return f"give {graph}, and this as the checkpoint"


def _few(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
