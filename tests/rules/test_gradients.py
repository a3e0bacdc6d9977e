"""Graphs whose outputs are gradients: saliency maps and gradient penalties, through the public path."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tf2ms

_RNG = np.random.default_rng(5)


def _weight(*shape):
    return tf.constant(_RNG.normal(0, 0.4, shape).astype(np.float32))


def _convolution(x, channels, stride=1, padding="SAME"):
    return tf.nn.bias_add(
        tf.nn.conv2d(x, _weight(3, 3, x.shape[-1], channels), stride, padding), _weight(channels), name="bias"
    )


def _classifier(x):
    x = tf.nn.relu(_convolution(x, 6))
    x = tf.nn.max_pool2d(x, 2, 2, "SAME")
    scale, offset, mean = _weight(6), _weight(6), _weight(6)
    x = tf.compat.v1.nn.fused_batch_norm(x, scale, offset, mean, tf.square(_weight(6)) + 1, is_training=False)[0]
    x = tf.nn.depthwise_conv2d(x, _weight(3, 3, 6, 1), [1, 1, 1, 1], "SAME")
    x = tf.nn.relu6(x + tf.nn.sigmoid(x) * tf.nn.tanh(x))
    x = tf.nn.avg_pool2d(x, 2, 1, "VALID")
    x = tf.nn.leaky_relu(_convolution(tf.nn.lrn(x, 2), 4, 2))
    x = tf.reduce_mean(tf.concat([x, tf.nn.elu(x)], 3), [1, 2])
    return tf.nn.softmax(tf.matmul(x, _weight(8, 5)) + _weight(5))


def _saliency(x):
    return [tf.gradients(tf.reduce_sum(_classifier(x)[:, 2]), x)[0]]


def _penalty(x):
    (gradient,) = tf.gradients(tf.reduce_sum(_classifier(x)[:, :1]), x)
    slopes = tf.sqrt(tf.reduce_sum(tf.square(gradient), [1, 2, 3]) + 1e-12)
    return [tf.reduce_mean(tf.square(slopes - 1.0))]


def _kernel_gradient(x):
    kernel, bias = _weight(3, 3, 3, 4), _weight(4)
    score = tf.reduce_sum(tf.nn.softplus(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 2, "SAME"), bias)))
    return tf.gradients(score, [kernel, bias])


def _broadcast(x):
    y = tf.reduce_sum(x * tf.reduce_mean(x, [1, 2], keepdims=True) / (1.0 + tf.square(x)), [1, 3])
    return [tf.gradients(tf.reduce_sum(tf.sqrt(tf.square(y) + 1.0)), x)[0]]


@pytest.mark.parametrize("batch", [2, None])
@pytest.mark.parametrize("make", [_saliency, _penalty, _kernel_gradient, _broadcast])
def test_outputs_that_are_gradients(make, batch):
    image = _RNG.normal(size=(2, 8, 9, 3)).astype(np.float32)
    with tf.Graph().as_default() as graph, tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.float32, (batch, 8, 9, 3), name="image")
        outputs = make(x)
        wanted = session.run(outputs, {x: image})
    conversion = tf2ms.convert(graph.as_graph_def(), outputs=[tensor.name for tensor in outputs])
    for actual, expected in zip(conversion.run({"image": image}), wanted, strict=True):
        assert actual.shape == expected.shape
        assert np.abs(actual - expected).max() <= 2e-5 * np.abs(expected).max()
