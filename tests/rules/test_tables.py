"""Static lookup tables of whole numbers, and tables that have no form."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tf2ms

KEYS = np.array([40, 3, 7, -5], np.int64)


def _graph(keys, values, default, placeholder):
    with tf.Graph().as_default() as graph, tf.compat.v1.Session() as session:
        table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), default)
        x = tf.compat.v1.placeholder(placeholder, (2, None), name="x")
        found, size = tf.identity(table.lookup(x), name="found"), tf.identity(table.size(), name="size")
        session.run(tf.compat.v1.tables_initializer())
        feed = {x: np.array([[3, 4, 40], [-5, 0, 7]], np.int64) if placeholder == tf.int64 else [["a", "b"]] * 2}
        wanted = session.run([found, size], feed)
    return graph.as_graph_def(), feed[x], wanted


@pytest.mark.parametrize("dtype", [np.int64, np.float32])
def test_whole_numbers_are_looked_up(dtype):
    values = np.array([1, 20, 300, 4000], dtype)
    graph, x, wanted = _graph(KEYS, values, dtype(-1), tf.int64)
    for actual, expected in zip(tf2ms.convert(graph, outputs=["found", "size"]).run({"x": x}), wanted, strict=True):
        assert actual.dtype == expected.dtype
        assert np.array_equal(actual, expected)


def test_strings_are_refused():
    graph, _, _ = _graph(["a", "b"], np.array([1, 2], np.int64), np.int64(0), tf.string)
    with pytest.raises(tf2ms.UnsupportedOpError, match="a lookup table of strings"):
        tf2ms.convert(graph, outputs=["found"])
