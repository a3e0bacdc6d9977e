"""Input pipelines in the graph are cut at the tensors that they deliver."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from tensorboard.compat.proto.graph_pb2 import GraphDef

import tf2ms
from tf2ms.inspection import inspect

v1 = tf.compat.v1
RNG = np.random.default_rng(0)


def _graph(make) -> GraphDef:
    with tf.Graph().as_default() as graph:
        make()
    return GraphDef.FromString(graph.as_graph_def(add_shapes=True).SerializeToString())


def _network(x):
    kernel = tf.constant(np.arange(12, dtype="float32").reshape(4, 3) / 12)
    return tf.nn.relu(tf.matmul(x, kernel) - 1.0, name="scores")


def _expected(x):
    return np.maximum(x @ (np.arange(12, dtype="float32").reshape(4, 3) / 12) - 1, 0)


def test_an_iterator_of_several_tensors():
    def make():
        data = tf.data.Dataset.from_tensors((np.zeros((5, 2), "float32"), np.zeros((5, 4), "float32"))).repeat()
        small, x = v1.data.make_one_shot_iterator(data).get_next()
        tf.add(_network(x), tf.reduce_sum(small, 1, keepdims=True), name="y")

    conversion = tf2ms.convert(_graph(make), outputs=["y"])
    assert [item["tensor"] for item in conversion.map["inputs"]] == ["IteratorGetNext:0", "IteratorGetNext:1"]
    assert any("input pipeline is left out" in note for note in conversion.notes)
    small, x = RNG.normal(size=(5, 2)).astype("float32"), RNG.normal(size=(5, 4)).astype("float32")
    (actual,) = conversion.run({"IteratorGetNext:0": small, "IteratorGetNext:1": x})
    np.testing.assert_allclose(actual, _expected(x) + small.sum(1, keepdims=True), rtol=1e-5, atol=1e-6)


def test_a_queue():
    def make():
        queue = v1.FIFOQueue(10, [tf.float32, tf.string], [[4], []])
        queue.enqueue([tf.zeros([4]), "name"])
        x, _ = queue.dequeue_many(3)
        _network(x)

    conversion = tf2ms.convert(_graph(make), outputs=["scores"])
    (item,) = conversion.map["inputs"]
    x = RNG.normal(size=(3, 4)).astype("float32")
    (actual,) = conversion.run({item["tensor"]: x})
    np.testing.assert_allclose(actual, _expected(x), rtol=1e-5, atol=1e-6)


def test_parsing_of_examples_is_the_boundary():
    def make():
        serialized = v1.placeholder(tf.string, [None], name="serialized")
        features = {"x": v1.FixedLenFeature([4], tf.float32), "id": v1.FixedLenFeature([], tf.string)}
        _network(v1.parse_example(serialized, features)["x"])

    graph = _graph(make)
    conversion = tf2ms.convert(graph, outputs=["scores"])
    (item,) = conversion.map["inputs"]
    x = RNG.normal(size=(3, 4)).astype("float32")
    (actual,) = conversion.run({item["tensor"]: x})
    np.testing.assert_allclose(actual, _expected(x), rtol=1e-5, atol=1e-6)
    assert any(
        "input pipeline" in group["reason"] for group in inspect(graph, outputs=["scores"]).to_dict()["left_out"]
    )
