from __future__ import annotations

import os
import random
import struct

import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.meta_graph_pb2 import MetaGraphDef

from tf2ms.errors import SourceError
from tf2ms.source import read_source
from tf2ms.source.events import crc32c, masked_crc32c


def slow_crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_crc32c():
    assert crc32c(b"123456789") == 0xE3069283
    rng = random.Random(0)
    for size in (0, 1, 3, 4, 63, 255, 256, 257, 1000, 4096, 20_001):
        data = rng.randbytes(size)
        assert crc32c(data) == slow_crc32c(data)


def record(event):
    data = event.SerializeToString()
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked_crc32c(length)) + data + struct.pack("<I", masked_crc32c(data))


def graph(name):
    return GraphDef(node=[{"name": name, "op": "NoOp"}])


def graph_event(name, time=1.0):
    return record(Event(wall_time=time, graph_def=graph(name).SerializeToString()))


def meta_event(name, time=1.0):
    return record(Event(wall_time=time, meta_graph_def=MetaGraphDef(graph_def=graph(name)).SerializeToString()))


VERSION = record(Event(wall_time=0.5, file_version="brain.Event:2"))


def names(source):
    return [node.name for node in source.graph_def.node]


def write(folder, name, *records):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"events.out.tfevents.{name}").write_bytes(b"".join(records))
    return folder / f"events.out.tfevents.{name}"


def test_newest_graph_of_a_file(tmp_path):
    path = write(tmp_path, "1", VERSION, graph_event("old", 1), graph_event("new", 2), meta_event("meta", 3), VERSION)
    assert names(read_source(path)) == ["new"]
    path = write(tmp_path, "1", VERSION, meta_event("new", 2), meta_event("old", 1))
    assert names(read_source(path)) == ["new"]


def test_newest_file_of_a_folder(tmp_path):
    write(tmp_path, "9", VERSION)
    write(tmp_path / "train", "1", VERSION, graph_event("train", 5))
    assert read_source(tmp_path).notes == ()
    write(tmp_path / "eval", "2", VERSION, graph_event("eval", 4))
    source = read_source(tmp_path)
    assert names(source) == ["train"]
    assert source.notes == ("2 event files hold graphs; the newest was read: train/events.out.tfevents.1",)
    write(tmp_path, "0", VERSION, graph_event("same time, later path", 5))
    assert names(read_source(tmp_path)) == ["train"]


def test_file_that_is_still_written(tmp_path):
    whole = VERSION + graph_event("x") + VERSION
    for size in range(1, len(whole)):
        path = write(tmp_path, "1", whole[:size])
        if size in (len(VERSION) + len(graph_event("x")),):
            assert read_source(path).notes == ()
        elif size > len(VERSION) + len(graph_event("x")):
            (note,) = read_source(path).notes
            assert "ends within the record at byte" in note
        else:
            with pytest.raises(SourceError):
                read_source(path)


def test_damaged_files(tmp_path):
    whole = VERSION + graph_event("some name")
    at = whole.index(b"some name")
    path = write(tmp_path, "1", whole[:at], b"X", whole[at + 1 :])
    with pytest.raises(SourceError, match=f"checksum of the graph at byte {len(VERSION)}"):
        read_source(path)
    path = write(tmp_path, "1", VERSION, os.urandom(100))
    with pytest.raises(SourceError, match=f"checksum at byte {len(VERSION)}"):
        read_source(path)
    path = write(tmp_path, "1", VERSION, record(Event(graph_def=b"not a graph")))
    with pytest.raises(SourceError, match="cannot be decoded"):
        read_source(path)
    write(tmp_path, "2", VERSION, graph_event("good"))
    with pytest.raises(SourceError, match="cannot be decoded"):
        read_source(write(tmp_path, "1", VERSION, record(Event(wall_time=2, graph_def=b"not a graph"))))


def test_damaged_file_beside_a_good_one(tmp_path):
    write(tmp_path, "1", VERSION, os.urandom(100))
    write(tmp_path, "2", VERSION, graph_event("good"))
    source = read_source(tmp_path)
    assert names(source) == ["good"]
    assert "checksum" in source.notes[0]


def test_data_set(tmp_path):
    data = b"\xff" * 20
    length = struct.pack("<Q", len(data))
    (tmp_path / "x.tfrecord").write_bytes(length + struct.pack("<I", masked_crc32c(length)) + data + bytes(4))
    with pytest.raises(SourceError, match="TFRecord data set"):
        read_source(tmp_path / "x.tfrecord")
