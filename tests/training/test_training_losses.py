"""Losses: weights in them, several of them, and networks whose layers share variables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from helpers import conv, dense, placeholder, variable
from training_harness import assert_trains_like_tensorflow

v1 = tf.compat.v1
train = v1.train


LOG_SOFTMAX = 5e-6
"""ops.exp and ops.log_softmax are 4e-6 off on CPU, so a cross entropy is no closer."""


def trained(loss: Any, optimizer: Any = None) -> dict[str, Any]:
    optimizer = optimizer or train.MomentumOptimizer(0.05, 0.9)
    return {"loss": loss, "train": optimizer.minimize(loss)}


def network() -> tuple[Any, Any]:
    x, y = placeholder([None, 6, 6, 2], "x"), placeholder([None, 3], "y")
    hidden = tf.nn.sigmoid(conv(x, (3, 3), 4, 2, name="conv"))
    hidden = tf.nn.sigmoid(dense(tf.reshape(hidden, [-1, 36]), 5, "hidden"))
    return dense(hidden, 3, "out"), y


def weights(ending: str = "weights") -> list[Any]:
    return [v for v in v1.trainable_variables() if v.op.name.endswith(ending)]


def decay_of_all():
    logits, y = network()
    penalty = tf.add_n([tf.nn.l2_loss(v) for v in v1.trainable_variables()])
    return trained(tf.reduce_mean(tf.square(logits - y)) + 5e-2 * penalty)


def collected():
    """A collection of losses, each weight's own among them, as in TensorFlow's CIFAR-10 tutorial."""
    logits, y = network()
    for v in weights():
        v1.add_to_collection("losses", tf.multiply(tf.nn.l2_loss(v), 0.04, name="weight_loss"))
    v1.add_to_collection("losses", tf.reduce_mean(tf.square(logits - y)))
    return trained(tf.add_n(v1.get_collection("losses"), name="total_loss"))


def two_kinds():
    """L2 of the kernels, L1 of the last layer's bias, as a sum in a row."""
    logits, y = network()
    loss = tf.reduce_mean(tf.square(logits - y))
    for v in weights():
        loss += 0.02 * tf.reduce_sum(tf.square(v))
    return trained(loss + 0.1 * tf.reduce_sum(tf.abs(weights("out/biases")[0])))


def one_weight():
    logits, y = network()
    return trained(tf.reduce_mean(tf.square(logits - y)) + 0.1 * tf.nn.l2_loss(weights("conv/weights")[0]))


def softened():
    """Label smoothing, class weights and a mask, in a classifier with L2."""
    x, labels = placeholder([None, 5], "x"), placeholder([None, 4], "labels")
    mask = placeholder([None], "mask", tf.int32)
    logits = dense(tf.nn.sigmoid(dense(x, 6, "hidden")), 4, "out")
    smooth = labels * 0.9 + 0.1 / 4
    each = tf.nn.softmax_cross_entropy_with_logits(labels=tf.stop_gradient(smooth), logits=logits)
    chosen = tf.cast(mask, tf.float32)
    data = tf.reduce_sum(each * chosen) / (tf.reduce_sum(chosen) + 1.0)
    return trained(data + 1e-2 * tf.add_n([tf.nn.l2_loss(v) for v in weights()]))


def auxiliary():
    """Two heads with factors, and what the first gives as a target for the second that learns nothing from it."""
    x, y = placeholder([None, 5], "x"), placeholder([None, 3], "y")
    hidden = tf.nn.sigmoid(dense(x, 6, "hidden"))
    main, side = dense(hidden, 3, "main"), dense(hidden, 3, "side")
    loss = tf.reduce_mean(tf.square(main - y)) + 0.3 * tf.reduce_mean(tf.abs(side - y))
    return trained(loss + 0.1 * tf.reduce_mean(tf.square(side - tf.stop_gradient(main))))


def one_hot(random, shape):
    return np.eye(shape[1])[random.integers(0, shape[1], shape[0])]


LOSSES = {
    "decay_of_all": (decay_of_all, "network.trainable_params()"),
    "collected": (collected, 'p.name.endswith("weight")'),
    "two_kinds": (two_kinds, "self.network.out.bias"),
    "one_weight": (one_weight, "self.network.conv.weight"),
    "softened": (softened, "penalty(weight)"),
    "auxiliary": (auxiliary, "0.3"),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name, tmp_path):
    make, text = LOSSES[name]
    bar = LOG_SOFTMAX if name == "softened" else 1e-6
    conversion = assert_trains_like_tensorflow(make, tmp_path, feeds={"labels": one_hot}, loss_bar=bar)
    assert text in conversion.code


# -- shared variables --------------------------------------------------------------------------------------------------


def siamese():
    """Two inputs through one tower, and a contrastive loss."""
    left, right = placeholder([None, 6, 6, 2], "left"), placeholder([None, 6, 6, 2], "right")
    same = placeholder([None], "same")

    def tower(x):
        with v1.variable_scope("tower", reuse=v1.AUTO_REUSE):
            h = tf.nn.sigmoid(conv(x, (3, 3), 4, 2, name="conv"))
            return dense(tf.reshape(h, [-1, 36]), 3, "embed")

    distance = tf.reduce_sum(tf.square(tower(left) - tower(right)), 1)
    return trained(tf.reduce_mean(same * distance + (1 - same) * tf.nn.relu(1.0 - distance)))


def tied():
    """The embedding is the softmax's matrix too."""
    words, label = placeholder([None, 3], "words", tf.int32), placeholder([None], "label", tf.int32)
    table = variable("table", [7, 5])
    state = dense(tf.reduce_mean(tf.nn.embedding_lookup(table, words), 1), 5, "state")
    logits = tf.matmul(state, table, transpose_b=True)
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=label, logits=logits)
    return trained(tf.reduce_mean(each))


def twice():
    """One layer after itself."""
    x, y = placeholder([None, 4], "x"), placeholder([None, 4], "y")
    for _ in range(2):
        with v1.variable_scope("again", reuse=v1.AUTO_REUSE):
            x = tf.nn.sigmoid(dense(x, 4, "fc"))
    return trained(tf.reduce_mean(tf.square(x - y)))


def multi_task():
    """Two inputs, two outputs, two losses of different kinds."""
    a, b = placeholder([None, 4], "a"), placeholder([None, 3], "b")
    y, label = placeholder([None, 2], "y"), placeholder([None], "label", tf.int32)
    joined = tf.nn.sigmoid(tf.concat([dense(a, 4, "from_a"), dense(b, 4, "from_b")], 1))
    value, logits = dense(joined, 2, "value"), dense(joined, 3, "logits")
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=label, logits=logits)
    return trained(tf.reduce_mean(tf.square(value - y)) + 0.5 * tf.reduce_mean(each))


SHARED = {"siamese": siamese, "tied": tied, "twice": twice, "multi_task": multi_task}


@pytest.mark.parametrize("name", SHARED)
def test_shared_variables(name, tmp_path):
    conversion = assert_trains_like_tensorflow(SHARED[name], tmp_path)
    names = [entry["variable"] for entry in conversion.map["parameters"]]
    assert len(names) == len(set(names))
