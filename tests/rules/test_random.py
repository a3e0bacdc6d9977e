"""Random ops: shapes and types equal TensorFlow's, the draws follow its distribution."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tf2ms

_N = 20000
_KEY = {"key": [1], "counter": [1, 2], "alg": 1}
_BOUNDS = {"minval": 3, "maxval": 8}
CASES = [
    ("RandomUniform", {"shape": [_N], "dtype": tf.float32}),
    ("RandomUniform", {"shape": [_N], "dtype": tf.float64}),
    ("RandomUniformInt", {"shape": [_N], "minval": -2, "maxval": 5}),
    ("RandomStandardNormal", {"shape": [_N // 2, 2], "dtype": tf.float32}),
    ("TruncatedNormal", {"shape": [_N], "dtype": tf.float32}),
    ("ParameterizedTruncatedNormal", {"shape": [_N], "means": 1.0, "stdevs": 2.0, "minvals": 0.5, "maxvals": 4.0}),
    ("RandomGamma", {"shape": [_N], "alpha": [0.5, 3.0]}),
    ("RandomPoissonV2", {"shape": [_N], "rate": [0.5, 9.0]}),
    ("Multinomial", {"logits": [[0.1, 1.0, -1.0], [2.0, 0.0, 0.0]], "num_samples": _N}),
    ("StatelessMultinomial", {"logits": [[0.1, 1.0, -1.0]], "num_samples": _N, "seed": [1, 2]}),
    ("StatelessRandomUniform", {"shape": [_N], "seed": [1, 2]}),
    ("StatelessRandomNormal", {"shape": [_N], "seed": [1, 2]}),
    ("StatelessTruncatedNormal", {"shape": [_N], "seed": [1, 2]}),
    ("StatelessRandomUniformInt", {"shape": [_N], "seed": [1, 2], **_BOUNDS}),
    ("StatelessRandomUniformV2", {"shape": [_N], **_KEY}),
    ("StatelessRandomNormalV2", {"shape": [_N], **_KEY}),
    ("StatelessTruncatedNormalV2", {"shape": [_N], **_KEY}),
    ("StatelessRandomUniformIntV2", {"shape": [_N], **_KEY, **_BOUNDS}),
]


def _draw(op, arguments):
    with tf.Graph().as_default() as graph:
        if "key" in arguments:
            arguments = {**arguments, "key": tf.constant([1], tf.uint64), "counter": tf.constant([1, 2], tf.uint64)}
        drawn = getattr(tf.raw_ops, op)(**arguments)
        with tf.compat.v1.Session() as session:
            wanted = session.run(drawn)
    return graph.as_graph_def(), drawn.name, wanted


@pytest.mark.parametrize(("op", "arguments"), CASES, ids=[f"{op}-{index}" for index, (op, _) in enumerate(CASES)])
def test_distribution_is_kept(op, arguments):
    graph_def, name, wanted = _draw(op, arguments)
    actual = tf2ms.convert(graph_def, outputs=[name]).run({})[0]
    assert (actual.dtype, actual.shape) == (wanted.dtype, wanted.shape)
    columns = [(actual, wanted)]
    if op in ("RandomGamma", "RandomPoissonV2"):
        columns = [(actual[:, i], wanted[:, i]) for i in range(2)]
    if "Multinomial" in op:
        columns = list(zip(actual, wanted, strict=True))
    for a, b in columns:
        assert kolmogorov_smirnov(a, b) < 2.2 * np.sqrt(2 / a.size)  # a chance of 1 in 10,000


def kolmogorov_smirnov(a, b):
    a, b = np.sort(a.reshape(-1)), np.sort(b.reshape(-1))
    points = np.concatenate([a, b])
    return np.abs(np.searchsorted(a, points, "right") / a.size - np.searchsorted(b, points, "right") / b.size).max()


def test_shuffle_keeps_the_rows():
    with tf.Graph().as_default() as graph:
        tf.raw_ops.RandomShuffle(value=tf.reshape(tf.range(20.0), (10, 2)), name="shuffled")
    drawn = tf2ms.convert(graph.as_graph_def(), outputs=["shuffled"]).run({})[0]
    assert sorted(map(tuple, drawn.tolist())) == [(2.0 * i, 2.0 * i + 1) for i in range(10)]
