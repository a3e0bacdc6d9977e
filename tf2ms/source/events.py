"""TensorBoard event files: records with a length, its checksum, an `Event` message and its checksum."""

from __future__ import annotations

import functools
import operator
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError
from tensorboard.compat.proto.event_pb2 import Event

from tf2ms.errors import SourceError

_HEADER = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")


RANKS = {"graph_def": 3, "meta_graph_def": 2, "run_metadata": 1, "keras_model": 0}
"""What holds a graph: GraphDef, MetaGraphDef, RunMetadata of traced functions, the JSON of a Keras model."""

_PLUGINS = {"graph_run_metadata_graph": "run_metadata", "graph_keras_model": "keras_model"}


@dataclass(frozen=True)
class LoggedGraph:
    """The newest graph of an event file."""

    wall_time: float
    field: str  # what `data` is the serialized form of: a key of RANKS
    data: bytes
    note: str = ""  # what the user should know about the file

    @property
    def rank(self) -> tuple[int, float]:
        """The greater, the sooner it is what is meant."""
        return RANKS[self.field], self.wall_time

    @property
    def group(self) -> int:
        """What holds the graph itself goes before what tells of it."""
        return min(RANKS[self.field], RANKS["meta_graph_def"])


def is_event_file(head: bytes) -> bool:
    """Whether a file that begins with `head` (12 bytes or more) is one of TensorFlow's record files."""
    if len(head) < _HEADER.size:
        return False
    _, checksum = _HEADER.unpack_from(head)
    return masked_crc32c(head[:8]) == checksum


def newest_graph(path: Path) -> LoggedGraph | None:
    """The newest graph in an event file, of the kind that ranks highest; None if the file holds none.

    A file that ends within a record, as that of a running training does, is read up to there.
    Raises SourceError for a damaged file, and for one that ends before a graph was found.
    """
    best: LoggedGraph | None = None
    note = ""
    try:
        for event in _events(path):
            for field, data in _graphs(event):
                found = LoggedGraph(event.wall_time, field, data)
                if best is None or found.rank >= best.rank:
                    best = found
    except EOFError as error:
        if best is None:
            raise SourceError(
                f"{path}: {error}, before any graph: copy the log again from where it was written"
            ) from None
        note = f"{path.name}: {error}; the graph before it was read"
    return None if best is None else replace(best, note=note)


def _graphs(event: Event) -> Iterator[tuple[str, bytes]]:
    """The graphs that the event holds: (a key of RANKS, the serialized form)."""
    field = event.WhichOneof("what")
    if field in ("graph_def", "meta_graph_def"):
        yield field, getattr(event, field)
    elif field == "summary":
        for value in event.summary.value:
            plugin = _PLUGINS.get(value.metadata.plugin_data.plugin_name)
            if plugin is not None and value.tensor.string_val:
                yield plugin, value.tensor.string_val[0]


def _events(path: Path) -> Iterator[Event]:
    """The events of a file in order; EOFError if the file ends within a record."""
    with path.open("rb") as file:
        size = path.stat().st_size
        while header := file.read(_HEADER.size):
            start = file.tell() - len(header)
            if len(header) < _HEADER.size:
                raise EOFError(f"the event file ends within the record at byte {start}")
            length, checksum = _HEADER.unpack(header)
            if masked_crc32c(header[:8]) != checksum:
                raise SourceError(f"{path}: damaged event file (checksum at byte {start}): copy it again")
            if start + _HEADER.size + length + _CHECKSUM.size > size:
                raise EOFError(f"the event file ends within the record at byte {start}")
            data = file.read(length)
            (checksum,) = _CHECKSUM.unpack(file.read(_CHECKSUM.size))
            try:
                event = Event.FromString(data)
            except (DecodeError, ValueError):
                raise SourceError(
                    f"{path}: the record at byte {start} is not a TensorBoard event (a TFRecord data set?): "
                    "give the log folder that holds the graph"
                ) from None
            # Only what is used is checked: a long log is mostly images and histograms.
            if any(_graphs(event)) and masked_crc32c(data) != checksum:
                raise SourceError(f"{path}: damaged event file (checksum of the graph at byte {start}): copy it again")
            yield event


def masked_crc32c(data: bytes) -> int:
    """TensorFlow's checksum: CRC-32C rotated and shifted, so that checksums of checksums keep apart."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@functools.cache
def _crc_table() -> np.ndarray:
    """What one byte adds to the checksum: uint32 [256]."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = table >> 1 ^ np.where(table & 1, np.uint32(0x82F63B78), np.uint32(0))
    return table


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli), in many lanes at once.

    The checksum is linear, so the data is cut into lanes of equal length, each runs on its own, and they are joined by
    the matrix that moves a checksum past one lane of zeros: the states of 32 more lanes that begin with a single bit.
    """
    table = _crc_table()
    if len(data) < 256:
        crc, entries = 0xFFFFFFFF, table.tolist()
        for byte in data:
            crc = entries[(crc ^ byte) & 0xFF] ^ crc >> 8
        return crc ^ 0xFFFFFFFF
    count = min(2048, len(data) // 64 + 1)
    length = -(-len(data) // count)
    lanes = np.zeros((count + 32) * length, np.uint8)  # zeros in front change nothing when the state begins with 0 …
    begin = count * length - len(data)
    lanes[begin : begin + len(data)] = np.frombuffer(data, np.uint8)
    lanes[begin : begin + 4] ^= 0xFF  # … and this is what beginning with 0xFFFFFFFF means
    state = np.zeros(count + 32, np.uint32)
    state[count:] = np.uint32(1) << np.arange(32, dtype=np.uint32)
    for column in np.ascontiguousarray(lanes.reshape(count + 32, length).T):
        state = table[(state ^ column) & 0xFF] ^ state >> 8
    past = [int(bit) for bit in state[count:]]
    crc = 0
    for lane in state[:count].tolist():
        crc = functools.reduce(operator.xor, (past[i] for i in range(32) if crc >> i & 1), lane)
    return crc ^ 0xFFFFFFFF
