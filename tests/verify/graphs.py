"""Small training graphs that hold everything a planted error can strike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

v1 = tf.compat.v1


def write(folder: Path, make: Callable[[], Any], train: Callable[[Any], Any] | None = None) -> str:
    """Builds a graph and writes it as a GraphDef; returns its path."""
    with tf.Graph().as_default() as graph:
        v1.set_random_seed(3)
        loss = make()
        if train is not None:
            train(loss)
        path = folder / "small.pb"
        path.write_bytes(graph.as_graph_def(add_shapes=True).SerializeToString())
    return str(path)


def weights(name: str, shape: list[int], scale: float = 0.3) -> Any:
    return v1.get_variable(
        name, shape, initializer=v1.random_normal_initializer(0.0, scale, seed=len(name) + shape[-1])
    )


def conv(x: Any, channels: int, kernel: int, stride: int, name: str) -> Any:
    with v1.variable_scope(name):
        y = tf.nn.conv2d(x, weights("weights", [kernel, kernel, int(x.shape[-1]), channels]), stride, "SAME")
        return tf.nn.relu(tf.nn.bias_add(y, weights("biases", [channels])), name=name)


def dense(x: Any, units: int, name: str, relu: bool = False) -> Any:
    with v1.variable_scope(name):
        layer = v1.nn.relu_layer if relu else v1.nn.xw_plus_b
        return layer(x, weights("weights", [int(x.shape[-1]), units]), weights("biases", [units]), name=name)


def two_heads() -> Any:
    """Convolutions, pooling, response normalisation, a join of two branches, a flatten, and a loss of two terms."""
    x = v1.placeholder(tf.float32, [None, 11, 11, 3], name="images")
    position = v1.placeholder(tf.float32, [None, 3], name="position")
    rotation = v1.placeholder(tf.float32, [None, 4], name="rotation")
    h = conv(x, 8, 5, 2, "first")
    h = tf.nn.max_pool2d(h, 3, 2, "SAME", name="pool")
    h = tf.nn.lrn(h, depth_radius=2, alpha=0.02, beta=0.75, bias=1.0, name="norm")
    left = conv(h, 6, 1, 1, "left")
    right = conv(h, 4, 3, 1, "right")
    h = tf.concat([left, right], 3, name="join")
    h = tf.reshape(h, [-1, 3 * 3 * 10])
    h = dense(h, 12, "hidden", relu=True)
    a, b = dense(h, 3, "xyz"), dense(h, 4, "wpqr")
    return tf.sqrt(tf.reduce_sum(tf.square(a - position))) * 0.5 + tf.sqrt(tf.reduce_sum(tf.square(b - rotation))) * 20


def normalised() -> Any:
    """Batch normalisation by stored statistics."""
    x = v1.placeholder(tf.float32, [None, 8, 8, 3], name="images")
    y = v1.placeholder(tf.float32, [None, 2], name="target")
    h = conv(x, 6, 3, 2, "first")
    scale, offset = weights("gamma", [6]), weights("beta", [6])
    mean, variance = (
        v1.get_variable(name, [6], initializer=v1.constant_initializer(value), trainable=False)
        for name, value in (("mean", 0.1), ("variance", 0.02))
    )
    h, *_ = v1.nn.fused_batch_norm(h, scale, offset, mean, variance, epsilon=1e-3, is_training=False, name="bn")
    h = tf.reduce_mean(h, [1, 2])
    return tf.reduce_mean(tf.square(dense(h, 2, "out") - y))


def adam(loss: Any) -> Any:
    return v1.train.AdamOptimizer(1e-3, epsilon=1e-5).minimize(loss)


def momentum(loss: Any) -> Any:
    return v1.train.MomentumOptimizer(1e-2, 0.9).minimize(loss)


def sgd(loss: Any) -> Any:
    return v1.train.GradientDescentOptimizer(1e-2).minimize(loss)
