"""Ops of shapes and axes in chains that chance makes, through the public path, against TensorFlow.

Each example is one graph of several ops, so that the layout stage has axes to move; what it does with channels is
forced by a pooling in front where the tensor is an image.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf
from harness import FORWARD, assert_same
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st

import tf2ms

v1 = tf.compat.v1


def axis_of(draw, rank):
    return draw(st.integers(-rank, rank - 1))


def axes_of(draw, rank, least=0):
    """Some axes, each once, either way of counting."""
    chosen = draw(st.lists(st.integers(0, rank - 1), unique=True, min_size=least, max_size=rank))
    return [axis - rank if draw(st.booleans()) else axis for axis in chosen]


def reshape(draw, x):
    sizes = list(x.shape)
    for _ in range(draw(st.integers(0, 2))):
        if len(sizes) > 1 and draw(st.booleans()):
            at = draw(st.integers(0, len(sizes) - 2))
            sizes[at : at + 2] = [sizes[at] * sizes[at + 1]]
        elif len(sizes) < 6:
            sizes.insert(draw(st.integers(0, len(sizes))), 1)
    if draw(st.booleans()) and math.prod(sizes):
        sizes[draw(st.integers(0, len(sizes) - 1))] = -1
    return tf.reshape(x, sizes)


def transpose(draw, x):
    return tf.transpose(x, draw(st.permutations(range(x.shape.rank))))


def strided(draw, x):
    rank = x.shape.rank
    count = draw(st.integers(1, rank))
    begin, end, strides = [], [], []
    for size in x.shape[:count]:
        stride = draw(st.sampled_from([1, 1, 2, -1, -2]))
        first, last = sorted((draw(st.integers(0, size - 1)), draw(st.integers(0, size - 1))))
        low, high = (first, last + 1) if stride > 0 else (last, first - 1)
        begin.append(low - size if draw(st.booleans()) else low)
        end.append(high if stride > 0 else -size - 1 if high < 0 else high)
        strides.append(stride)
    masks = {}
    for name in ("begin_mask", "end_mask"):
        masks[name] = draw(st.integers(0, 2**count - 1))
    room = 6 - rank
    kinds = [draw(st.sampled_from(["slice", "slice", "shrink", "new"])) for _ in range(count)]
    masks["shrink_axis_mask"] = sum(1 << i for i, kind in enumerate(kinds) if kind == "shrink" and strides[i] == 1)
    if masks["shrink_axis_mask"]:
        masks["begin_mask"] &= ~masks["shrink_axis_mask"]
    if room and not masks["shrink_axis_mask"] and draw(st.booleans()):
        masks["new_axis_mask"] = 1 << draw(st.integers(0, count - 1))
    elif count < rank and draw(st.booleans()):
        at = draw(st.integers(0, count - 1))
        masks["ellipsis_mask"] = 1 << at  # the axes behind it are counted from the end, and have sizes of their own
        begin[at + 1 :], end[at + 1 :] = [0] * (count - at - 1), [1] * (count - at - 1)
        strides[at + 1 :] = [1] * (count - at - 1)
    return tf.strided_slice(x, begin, end, strides, **masks)


def concat(draw, x):
    axis = axis_of(draw, x.shape.rank)
    other = tf.reverse(x, [axis]) * 2.0
    return tf.concat([x, other, x][: draw(st.integers(2, 3))], axis)


def split(draw, x):
    axis = axis_of(draw, x.shape.rank)
    size = x.shape[axis]
    if size > 1 and draw(st.booleans()):
        parts = tf.split(x, [1, size - 1], axis)
        return tf.concat(parts[::-1], axis)
    parts = tf.split(x, size, axis)
    return tf.add_n(parts)


def pack(draw, x):
    rank = x.shape.rank
    if rank == 6:
        return x
    return tf.stack([x, x + 1.0], axis_of(draw, rank + 1))


def unpack(draw, x):
    parts = tf.unstack(x, axis=axis_of(draw, x.shape.rank))
    return parts[0] - parts[-1] if len(parts) > 1 else parts[0]


def pad(draw, x):
    pads = [[draw(st.integers(0, 2)), draw(st.integers(0, 2))] for _ in x.shape]
    mode = draw(st.sampled_from(["CONSTANT", "CONSTANT", "REFLECT", "SYMMETRIC"]))
    if mode != "CONSTANT":
        moved = axes_of(draw, len(pads))[:2]
        keep = {axis % len(pads) for axis in moved}
        most = [size - (mode == "REFLECT") for size in x.shape]
        pads = [[min(p, most[i]) for p in pair] if i in keep else [0, 0] for i, pair in enumerate(pads)]
        return tf.pad(x, pads, mode)
    return tf.pad(x, pads, constant_values=draw(st.sampled_from([0, 1.5])))


def reduce(draw, x):
    how = draw(st.sampled_from([tf.reduce_sum, tf.reduce_mean, tf.reduce_max, tf.reduce_min, tf.reduce_prod]))
    return how(x, axes_of(draw, x.shape.rank), keepdims=draw(st.booleans()))


def gather(draw, x):
    axis = axis_of(draw, x.shape.rank)
    size = x.shape[axis]
    index = draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=3))
    return tf.gather(x, draw(st.sampled_from([index, index[0], [index]])) if x.shape.rank < 6 else index, axis=axis)


def tile(draw, x):
    return tf.tile(x, [draw(st.sampled_from([1, 1, 2, 3])) for _ in x.shape])


def broadcast(draw, x):
    front = [2] * draw(st.integers(0, min(1, 6 - x.shape.rank)))
    sizes = [3 if size == 1 and draw(st.booleans()) else size for size in x.shape]
    return tf.broadcast_to(x, front + sizes)


def expand(draw, x):
    return tf.expand_dims(x, axis_of(draw, x.shape.rank + 1)) if x.shape.rank < 6 else x


def squeeze(draw, x):
    ones = [axis for axis, size in enumerate(x.shape) if size == 1]
    chosen = draw(st.lists(st.sampled_from(ones), unique=True)) if ones else []
    return tf.squeeze(x, [axis - x.shape.rank if draw(st.booleans()) else axis for axis in chosen] or None)


def reverse(draw, x):
    return tf.reverse(x, axes_of(draw, x.shape.rank, 1))


def bias(draw, x):
    """A constant along one axis, which must follow that axis wherever it goes."""
    axis = axis_of(draw, x.shape.rank)
    sizes = [1] * x.shape.rank
    sizes[axis] = x.shape[axis]
    while sizes[0] == 1 and len(sizes) > 1 and draw(st.booleans()):
        sizes.pop(0)
    return x + np.linspace(-1, 1, math.prod(sizes), dtype="float32").reshape(sizes)


OPS = [reshape, transpose, strided, concat, split, pack, unpack, pad, reduce, gather, tile, broadcast, expand, squeeze]
OPS += [reverse, bias]


@st.composite
def graphs(draw):
    """(GraphDef, feeds, names of the outputs, their values)."""
    rank = draw(st.sampled_from([4, 4, 4, 4, 1, 2, 3, 5, 6]))
    shape = draw(st.lists(st.sampled_from([1, 2, 3, 4]), min_size=rank, max_size=rank))
    value = np.random.default_rng(draw(st.integers(0, 99))).uniform(-2, 2, shape).astype("float32")
    with tf.Graph().as_default() as graph:
        x = y = v1.placeholder(tf.float32, shape, name="x")
        if rank == 4:
            y = tf.nn.max_pool2d(x, 1, 1, "VALID")
        outputs = []
        for _ in range(draw(st.integers(2, 5))):
            if not y.shape.rank or math.prod(y.shape) > 3000 or not math.prod(y.shape):
                break
            y = draw(st.sampled_from(OPS))(draw, y)
            outputs += [y] if draw(st.integers(0, 3)) == 0 else []
        outputs = [tensor for tensor in outputs if tensor is not y] + [y]
        try:
            with v1.Session(graph=graph) as session:
                expected = session.run(outputs, {x: value})
        except tf.errors.UnimplementedError:  # TensorFlow has no kernel of that rank either
            reject()
        return graph.as_graph_def(), {"x": value}, [tensor.name for tensor in outputs], expected


@settings(
    max_examples=100, phases=[Phase.generate], derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)
@given(graphs())
def test_chains_of_shape_ops(made):
    graph_def, feeds, names, expected = made
    conversion = tf2ms.convert(graph_def, outputs=names)
    for name, actual, wanted in zip(names, conversion.run(feeds), expected, strict=True):
        assert_same(
            actual, wanted, None, FORWARD, f"{name} of\n{conversion.code[: conversion.code.index('def create')]}"
        )
