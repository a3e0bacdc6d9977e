from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from tensorboard.compat.proto.graph_pb2 import GraphDef

from tf2ms.errors import SourceError
from tf2ms.source import read_source
from tf2ms.source.messages import saved_model_type


def without_shapes(graph_def):
    """A copy without `_output_shapes`, the one thing in which the formats differ."""
    copy = GraphDef()
    copy.CopyFrom(graph_def)
    for node in copy.node:
        node.attr.pop("_output_shapes", None)
    return copy


FORMS = {
    "graph.pb": "GraphDef",
    "graph.pbtxt": "GraphDef (text)",
    "graph_shapes.pb": "GraphDef",
    "graph_shapes.pbtxt": "GraphDef (text)",
    "robonet.meta": "MetaGraphDef",
    "text.meta": "MetaGraphDef (text)",
    "stripped.meta": "MetaGraphDef",
    "logs": "TensorBoard log",
    "logs/train": "TensorBoard log",
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_graph(exports, name):
    source = read_source(exports / name)
    assert (source.kind, source.path) == (FORMS[name], exports / name)
    expected = without_shapes(read_source(str(exports / "graph.pb")).graph_def)
    assert without_shapes(source.graph_def) == expected


def test_the_name_does_not_decide(exports, tmp_path):
    for name in ("graph.pb", "graph.pbtxt", "robonet.meta", "text.meta"):
        shutil.copy(exports / name, tmp_path / "thing.json")
        assert read_source(tmp_path / "thing.json").kind == FORMS[name]
    (tmp_path / "link").symlink_to(exports / "graph.pb")
    assert read_source(tmp_path / "link").kind == "GraphDef"
    shutil.copy(next((exports / "logs/train").iterdir()), tmp_path / "robot.pb")
    assert read_source(tmp_path / "robot.pb").kind == "TensorBoard log"
    assert read_source(tmp_path / "robot.pb").name == "robot"


def test_names(exports):
    assert read_source(exports / "graph.pb").name == "robonet"
    assert read_source(exports / "robonet.meta").name == "robonet"
    assert read_source(exports / "logs").name == "robonet"
    assert read_source(exports / "saved1").name == "robonet"
    assert read_source(exports / "saved1/saved_model.pb").name == "robonet"


def test_saved_models(exports, module_export, tf):
    first = read_source(exports / "saved1")
    assert first.kind == "SavedModel"
    assert {"images", "output"} <= {node.name for node in first.graph_def.node}
    second = read_source(module_export / "saved2" / "saved_model.pb")
    assert second.kind == "SavedModel" and [key for key, _ in second.signature.inputs] == ["x"]
    assert {"MatMul", "Relu"} <= {node.op for node in second.graph_def.node}, "functions stand in their place"


def test_saved_model_serves(exports, tmp_path):
    saved_model = saved_model_type()()
    for tag in ("train", "serve"):
        meta_graph = saved_model.meta_graphs.add()
        meta_graph.meta_info_def.tags.append(tag)
        meta_graph.graph_def.node.add(name=tag, op="NoOp")
    saved_model.saved_model_schema_version = 1
    (tmp_path / "saved_model.pb").write_bytes(saved_model.SerializeToString())
    source = read_source(tmp_path)
    assert [node.name for node in source.graph_def.node] == ["serve"]
    assert source.notes == ("the SavedModel holds 2 graphs; read: the one tagged serve",)
    (tmp_path / "saved_model.pb").unlink()
    (tmp_path / "saved_model.pbtxt").write_text(str(saved_model))
    assert read_source(tmp_path) == read_source(tmp_path)
    assert [node.name for node in read_source(tmp_path).graph_def.node] == ["serve"]


def test_objects(exports, tf):
    graph_def = read_source(exports / "graph.pb").graph_def
    assert read_source(graph_def).graph_def == graph_def
    theirs = tf.compat.v1.GraphDef.FromString(graph_def.SerializeToString())
    assert read_source(theirs).graph_def == graph_def
    with tf.Graph().as_default() as graph:
        tf.compat.v1.placeholder(tf.float32, [2], name="x")
    (node,) = read_source(graph).graph_def.node
    assert node.name == "x" and "_output_shapes" in node.attr
    for wrong in (3, None, tf.compat.v1.NodeDef(), tf.compat.v1.GraphDef(), tf.Graph()):
        with pytest.raises(SourceError):
            read_source(wrong)


def test_tensorflow_stays_out(exports):
    """Reading a graph, and the shapes it carries, imports neither framework."""
    code = (
        "import sys; from tf2ms.source import *;"
        "[infer_shapes(read_source(path).graph_def) for path in sys.argv[1:]];"
        "assert not {'tensorflow', 'mindspore', 'torch'} & sys.modules.keys()"
    )
    paths = [str(exports / name) for name in ("graph_shapes.pb", "graph_shapes.pbtxt", "robonet.meta", "logs")]
    subprocess.run([sys.executable, "-c", code, *paths], check=True)


# Bad input


def graph_bytes(nodes=3):
    graph_def = GraphDef()
    for i in range(nodes):
        graph_def.node.add(name=f"node{i}", op="NoOp")
    graph_def.versions.producer = 27
    return graph_def.SerializeToString()


BAD_FILES = {
    "empty": (b"", "empty"),
    "random": (bytes(range(7, 256)) * 3, "not a TensorFlow graph"),
    "zeros": (bytes(1000), "not a TensorFlow graph"),
    "cut": (graph_bytes()[:-10], "truncated GraphDef"),
    "no nodes": (graph_bytes(0), "holds no nodes"),
    "nameless": (GraphDef(node=[{"op": "NoOp"}]).SerializeToString(), "not a TensorFlow graph"),
    "no op": (GraphDef(node=[{"name": "x"}] * 2).SerializeToString(), "holds no nodes|not a TensorFlow graph"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(50), "Keras"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(50), "an image"),
    "json": (b'{"class_name": "Sequential"}', "JSON"),
    "html": (b"<!DOCTYPE html><html></html>", "HTML"),
    "python": (b"import tensorflow as tf\n", "is text"),
    "utf-16": ("node { }".encode("utf-16"), "UTF-16"),
    "gzip": (b"\x1f\x8b\x08" + bytes(50), "unpack"),
    "npy": (b"\x93NUMPY\x01\x00" + bytes(50), "weights without a graph"),
    "tflite": (b"\x1c\0\0\0TFL3" + bytes(50), "Lite"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "state": (b'model_checkpoint_path: "x.ckpt"\n', "weights without a graph"),
    "text, unknown field": (b'node {\n  name: "x"\n  op: "NoOp"\n  colour: 3\n}\n', "line 4: .*colour"),
    "text, cut": (b'node {\n  name: "x"\n  op: "NoOp"\n', "line 3.*truncated"),
    "text, not UTF-8": (b'node {\n  name: "x\xff"\n  op: "NoOp"\n}\n', "line 2: not UTF-8"),
    "text, no op": (b'node {\n  name: "x"\n}\n', "without a name or an op"),
    "text, deep": (
        b"library { function { node_def { " + b'attr { value { func { attr { key: "a" value {' * 5000,
        "truncated",
    ),
    "text, no nodes": (b"versions {\n  producer: 27\n}\n", "holds no nodes"),
    "text, saved model": (b"saved_model_schema_version: 1\n", "without any graph"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files(tmp_path, name):
    data, message = BAD_FILES[name]
    path = tmp_path / "graph.pb"
    path.write_bytes(data)
    with pytest.raises(SourceError, match=message) as caught:
        read_source(path)
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value)) < 600


def test_missing_and_unreadable(tmp_path):
    with pytest.raises(SourceError, match="no such file"):
        read_source(tmp_path / "graph.pb")
    with pytest.raises(SourceError, match="cannot be read"):
        read_source("graph\0.pb")
    with pytest.raises(SourceError, match="too long"):
        read_source("x" * 5000)
    with pytest.raises(SourceError, match="regular file"):
        read_source(os.devnull)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(SourceError):
        read_source(tmp_path / "loop")


def test_permission(tmp_path, monkeypatch):
    (tmp_path / "graph.pb").write_bytes(graph_bytes())

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(SourceError, match=r"graph.pb: cannot be read: Permission denied"):
        read_source(tmp_path / "graph.pb")


def test_too_large(tmp_path):
    with (tmp_path / "graph.pb").open("wb") as file:
        file.truncate(2**31)
    with pytest.raises(SourceError, match="more than a protobuf can hold"):
        read_source(tmp_path / "graph.pb")


def test_folders(tmp_path, exports):
    with pytest.raises(SourceError, match="empty folder"):
        read_source(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(SourceError, match=r"holds no graph \(it holds notes.txt\)"):
        read_source(tmp_path)
    (tmp_path / "x.ckpt.index").write_bytes(b"")
    with pytest.raises(SourceError, match="weights without a graph"):
        read_source(tmp_path)
    shutil.copy(exports / "graph.pb", tmp_path)
    with pytest.raises(SourceError, match=r"give the graph file in it: graph\.pb"):
        read_source(tmp_path)
    (tmp_path / "events.out.tfevents.1.host").write_bytes(b"")
    with pytest.raises(SourceError, match="log without a graph"):
        read_source(tmp_path)


def test_checkpoint_instead(exports):
    for name in ("robonet.ckpt", "robonet.ckpt.index", "robonet.ckpt.data-00000-of-00001", "checkpoint"):
        with pytest.raises(SourceError, match="weights without a graph"):
            read_source(exports / name)


def test_archives(tmp_path):
    np.savez(tmp_path / "weights.npz", a=np.zeros(3))
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("model.weights.h5", b"")
    for name in ("weights.npz", "m.keras"):
        with pytest.raises(SourceError, match="zip archive"):
            read_source(tmp_path / name)
