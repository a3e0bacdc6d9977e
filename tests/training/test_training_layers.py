"""Layers that are one thing while training and another after it: batch normalisation, dropout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from helpers import dense, placeholder, variable
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorflow.python.training.moving_averages import assign_moving_average
from training_harness import assert_trains_like_tensorflow

import tf2ms

v1 = tf.compat.v1


def normalised(x: Any, name: str, decay: float, fused: bool, resource: bool = False) -> Any:
    """Batch normalisation as tf.layers and slim write it; UPDATE_OPS holds what updates its statistics."""
    channels = int(x.shape[-1])
    with v1.variable_scope(name):
        gamma = variable("gamma", [channels], resource, initializer=v1.ones_initializer())
        beta = variable("beta", [channels], resource, initializer=v1.zeros_initializer())
        mean = variable("moving_mean", [channels], resource, False, initializer=v1.zeros_initializer())
        variance = variable("moving_variance", [channels], resource, False, initializer=v1.ones_initializer())
        if fused:
            y, own_mean, own_variance = v1.nn.fused_batch_norm(x, gamma, beta, epsilon=1e-3, is_training=True)
        else:
            own_mean, own_variance = tf.nn.moments(x, list(range(len(x.shape) - 1)))
            y = tf.nn.batch_normalization(x, own_mean, own_variance, beta, gamma, 1e-3)
        for running, own in ((mean, own_mean), (variance, own_variance)):
            update = assign_moving_average(running, own, decay, zero_debias=False)
            v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, update)
    return y


def network(fused: bool, resource: bool) -> dict[str, Any]:
    x, y = placeholder([None, 6, 6, 2], "x"), placeholder([None, 3], "y")
    hidden = tf.nn.conv2d(x, variable("kernel", [3, 3, 2, 4]), 2, "SAME")
    hidden = tf.nn.relu(normalised(hidden, "bn1", 0.9, fused, resource))
    hidden = tf.matmul(tf.reshape(hidden, [-1, 36]), variable("matrix", [36, 5]))
    if not fused:
        hidden = normalised(hidden, "bn2", 0.75, False, resource)
    loss = tf.reduce_mean(tf.square(dense(tf.nn.sigmoid(hidden), 3, "out") - y))
    with tf.control_dependencies(v1.get_collection(v1.GraphKeys.UPDATE_OPS)):
        optimizer = v1.train.MomentumOptimizer(0.05, 0.9)
        gradients, variables = zip(*optimizer.compute_gradients(loss), strict=True)
        if fused:  # one node gives the gradients of gamma and beta
            gradients, _ = tf.clip_by_global_norm(gradients, 0.1)
        step = optimizer.apply_gradients(zip(gradients, variables, strict=True))
    names = [v.op.name for v in v1.global_variables() if "moving_" in v.op.name]
    return {"loss": loss, "train": step, "statistics": names}


@pytest.mark.parametrize(("fused", "resource"), [(True, False), (False, True)])
def test_batch_normalisation(fused, resource, tmp_path):
    conversion = assert_trains_like_tensorflow(lambda: network(fused, resource), tmp_path)
    assert ("nn.BatchNorm2d(4, eps=0.001)" if fused else "BatchNorm(5, eps=0.001, momentum=0.75)") in conversion.code
    assert not any("running" in note for note in conversion.notes)


def dropped(x: Any, style: str) -> Any:
    if style == "constant":
        return tf.nn.dropout(x, rate=0.25)
    if style == "fed":
        return v1.nn.dropout(x, keep_prob=placeholder([], "keep_prob"))
    if style == "default":
        return v1.nn.dropout(x, keep_prob=v1.placeholder_with_default(0.75, [], name="keep_prob"))
    if style == "old":  # TensorFlow 1.0 to 1.12
        random = 0.75 + (tf.random.uniform(tf.shape(x)) * 1.0 + 0.0)
        return tf.divide(x, 0.75) * tf.floor(random)
    random = tf.random.uniform(tf.shape(x))  # TensorFlow 1.13 to 2.4
    return x * (1 / (1 - 0.25)) * tf.cast(random >= 0.25, tf.float32)


@pytest.mark.parametrize("style", ["constant", "fed", "default", "old", "cast"])
def test_dropout_is_a_layer(style):
    with tf.Graph().as_default() as graph:
        x, y = placeholder([None, 4], "x"), placeholder([None, 3], "y")
        hidden = dropped(tf.nn.relu(dense(x, 64, "hidden")), style)
        loss = tf.reduce_mean(tf.square(dense(hidden, 3, "out") - y))
        v1.train.AdamOptimizer(1e-3).minimize(loss)
        definition = graph.as_graph_def(add_shapes=True)
    conversion = tf2ms.convert(GraphDef.FromString(definition.SerializeToString()))
    assert style == "cast" or style == "old" or "self.dropout" in conversion.code
    assert f"nn.Dropout(p={0.5 if style == 'fed' else 0.25})" in conversion.code
    assert [item["name"] for item in conversion.map["inputs"]] == ["x", "y"]
    assert any("keep_prob" in note for note in conversion.notes) == (style == "fed")


def test_dropout_draws_as_tensorflow(tmp_path):
    """The share of zeros and the mean while training; nothing dropped after it."""
    import mindspore as ms
    from helpers import ms_network

    with tf.Graph().as_default() as graph:
        x, y = placeholder([None, 200], "x"), placeholder([None, 200], "y")
        scale = variable("scale", [200], initializer=v1.ones_initializer())
        loss = tf.reduce_mean(tf.square(tf.nn.relu(tf.nn.dropout(x * scale, rate=0.3)) - y))
        v1.train.GradientDescentOptimizer(0.1).minimize(loss)
        definition = graph.as_graph_def(add_shapes=True)
    conversion = tf2ms.convert(GraphDef.FromString(definition.SerializeToString()), outputs=["Relu"], loss="Mean")
    _, network = ms_network(conversion)
    ones = ms.Tensor(np.ones((200, 200), np.float32))
    drawn = network.set_train(True)(ones).asnumpy()
    assert abs((drawn == 0).mean() - 0.3) < 0.01
    assert np.allclose(drawn[drawn != 0], 1 / 0.7)
    assert (network.set_train(False)(ones).asnumpy() == 1).all()
