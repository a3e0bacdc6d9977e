"""Any inputs and outputs through `convert(source, inputs=…, outputs=…).run(feeds)`, against TensorFlow's session."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tf2ms
from tf2ms.errors import GraphError

v1 = tf.compat.v1
RNG = np.random.default_rng(5)


def numbers(*shape):
    return RNG.standard_normal(shape).astype("float32")


KERNEL, LARGE = numbers(3, 3, 3, 4), numbers(30, 30)


def plain():
    x = v1.placeholder(tf.float32, [2, 3], name="x")
    tf.nn.relu(x, name="r")
    tf.split(x, 3, axis=1, name="s")
    tf.nn.top_k(x, 2, name="t")
    tf.constant([7, 8], name="c")
    tf.constant(2.5, name="number")
    tf.constant(3, tf.int64, name="count")
    tf.constant(True, name="truth")
    tf.constant(LARGE, name="large")
    tf.constant(np.zeros((0, 3), "float32"), name="empty")
    tf.add(tf.constant(1.5), tf.constant(2.0), name="sum")
    tf.size(x, name="size")


def image():
    x = v1.placeholder(tf.float32, [2, 4, 5, 3], name="x")
    y = tf.nn.conv2d(x, KERNEL, 1, "SAME")
    a, b = tf.split(y, 2, axis=3, name="s")
    tf.nn.conv2d(a, KERNEL[:, :, :2], 1, "SAME", name="ca")
    tf.add(tf.nn.conv2d(b, KERNEL[:, :, :2], 1, "SAME"), tf.concat([a, a], 3), name="o")
    tf.constant(numbers(1, 4, 5, 4), name="c")


def several():
    x = v1.placeholder(tf.float32, [4, 6], name="x")
    a, b, c = tf.split(x, 3, axis=1, name="s")
    tf.add(a, b * c, name="o")
    values, indices = tf.nn.top_k(x, 2, name="t")
    tf.add(tf.cast(indices, tf.float32), values, name="p")
    parts = tf.unstack(x, name="u")
    tf.add(parts[0], parts[3], name="q")
    tf.cast(tf.argmax(x, 1, name="m"), tf.float32, name="w")
    tf.cast(tf.equal(x, 0.0, name="e"), tf.float32, name="z")


def closed():
    tf.matmul(tf.constant(LARGE), tf.constant(LARGE), name="product")
    tf.square(tf.range(5.0), name="squares")
    tf.constant([1.0, 2.0], name="c")


def same(make, outputs, feeds, inputs=None):
    """Converts, runs both, compares; returns the conversion."""
    with tf.Graph().as_default() as graph, graph.device("/cpu:0"):
        make()
        with v1.Session() as session:
            full = {name if ":" in name else f"{name}:0": value for name, value in feeds.items()}
            wanted = session.run([name if ":" in name else f"{name}:0" for name in outputs], full)
    conversion = tf2ms.convert(graph.as_graph_def(), inputs=inputs, outputs=outputs)
    for name, value, other in zip(outputs, conversion.run(feeds), wanted, strict=True):
        other = np.asarray(other)
        assert (value.dtype, value.shape) == (other.dtype, other.shape), name
        wide = np.complex128 if value.dtype.kind == "c" else np.float64
        off = np.abs(value.astype(wide) - other.astype(wide)).max(initial=0)
        assert off <= 1e-5 * np.abs(other).max(initial=0), name
    return conversion


@pytest.mark.parametrize("outputs", [["product"], ["squares"], ["c"], ["c", "product", "squares"]])
def test_no_input(outputs):
    assert not same(closed, outputs, {}).map["inputs"]


@pytest.mark.parametrize(
    "outputs",
    [
        *(["c"], ["x"], ["x", "r"], ["r", "x:0", "c"], ["s:1"], ["s:2", "s:0"], ["t:1"], ["t:1", "t"], ["r", "r"]),
        *(["number", "count", "truth"], ["number", "r"], ["large"], ["large", "r"], ["empty", "x"], ["sum"], ["size"]),
    ],
    ids=" ".join,
)
def test_any_output(outputs):
    same(plain, outputs, {"x": numbers(2, 3)})


@pytest.mark.parametrize("outputs", [["s:1"], ["x", "s:1"], ["c", "x"], ["o", "c", "s"]], ids=" ".join)
def test_any_output_of_images(outputs):
    same(image, outputs, {"x": numbers(2, 4, 5, 3)})


DTYPES = "float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool complex64 complex128".split()


@pytest.mark.parametrize("dtype", DTYPES)
def test_any_type_of_input(dtype):
    ranks = (0, 2, 5)
    values = {f"a{rank}": RNG.integers(0, 5, (2, 3, 1, 2, 2)[:rank]).astype(dtype) for rank in ranks}

    def make():
        for rank in ranks:
            a = v1.placeholder(dtype, values[f"a{rank}"].shape, name=f"a{rank}")
            tf.stack([a, a], rank, name=f"o{rank}")

    same(make, [*(f"o{rank}" for rank in ranks), *values], values)


@pytest.mark.parametrize("rank", range(7))
def test_any_rank_of_input(rank):
    shape = (2, 3, 1, 2, 2, 3)[:rank]

    def make():
        a = v1.placeholder(tf.float32, shape, name="a")
        b = tf.reduce_sum(tf.expand_dims(a, -1) * tf.constant([1.0, 2.0]), axis=0, name="b")
        tf.stack([b, b], -1, name="o")

    same(make, ["o", "a"], {"a": numbers(*shape)})


CUTS = {
    "all of a split": ("s:0 s:1 s:2", "o"),
    "all in another order": ("s:2 s:0 s:1", "o"),
    "one of a split": ("x s:1", "o"),
    "the only one that is read": ("u:3 u:0", "q"),
    "another type": ("x t:1", "p"),
    "both types": ("t:1 t", "p"),
    "an input that is an output": ("x s:1", "s:1 o"),
    "its other outputs are outputs": ("x s:1", "s:0 o s:2"),
    "a whole number made of others": ("m", "w"),
    "a truth made of numbers": ("e", "z"),
}


@pytest.mark.parametrize("inputs, outputs", CUTS.values(), ids=CUTS)
def test_cut_at_any_output(inputs, outputs):
    given = {"x": numbers(4, 6), "t": numbers(4, 2), "t:1": np.array([[1, 2]] * 4, "int32")}
    given |= {f"s:{index}": numbers(4, 2) for index in range(3)} | {"u:0": numbers(6), "u:3": numbers(6)}
    given |= {"m": np.array([2, 0, 1, 5]), "e": numbers(4, 6) > 0}
    names = inputs.split()
    conversion = same(several, outputs.split(), {name: given[name] for name in names}, names)
    asked = [name if ":" in name else f"{name}:0" for name in names]
    assert [item["tensor"] for item in conversion.map["inputs"]] == asked


def test_cut_at_one_of_several_images():
    same(image, ["o"], {"x": numbers(2, 4, 5, 3), "s:1": numbers(2, 4, 5, 2)}, ["x", "s:1"])
    conversion = same(image, ["ca"], {"s": numbers(2, 4, 5, 2)}, ["s"])
    assert "transpose" not in conversion.code[: conversion.code.index("def create_network")]


def test_no_such_output_to_cut_at():
    with tf.Graph().as_default() as graph:
        several()
    with pytest.raises(GraphError, match="3 outputs"):
        tf2ms.convert(graph.as_graph_def(), inputs=["s:3"], outputs=["o"])
