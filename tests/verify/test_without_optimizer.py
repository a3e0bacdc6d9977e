"""Graphs with a loss and no optimizer: a stand-in trains them, and TensorFlow's tf.gradients judges the gradients."""

from __future__ import annotations

import json
from typing import Any

import graphs
import pytest
import tensorflow as tf
from click.testing import CliRunner
from tensorflow.python.training.moving_averages import assign_moving_average

import tf2ms
from tf2ms.cli import main
from tf2ms.errors import GraphError
from tf2ms.verify import verify

v1 = tf.compat.v1


def classifier() -> Any:
    """Rows of an embedding, batch normalisation with running statistics, an accuracy beside the loss."""
    words = v1.placeholder(tf.int32, [None, 5], name="words")
    labels = v1.placeholder(tf.int64, [None], name="labels")
    h = tf.reduce_mean(tf.nn.embedding_lookup(graphs.weights("table", [9, 6]), words), 1)
    h = tf.reshape(h, [-1, 1, 1, 6])
    scale, offset = graphs.weights("gamma", [6]), graphs.weights("beta", [6])
    h, *own = v1.nn.fused_batch_norm(h, scale, offset, epsilon=1e-3, is_training=True, name="bn")
    for name, start, value in (("running_mean", 0.0, own[0]), ("running_variance", 1.0, own[1])):
        running = v1.get_variable(name, [6], initializer=v1.constant_initializer(start), trainable=False)
        assign_moving_average(running, value, 0.9, zero_debias=False)
    logits = graphs.dense(tf.reshape(h, [-1, 6]), 4, "out")
    tf.reduce_mean(tf.cast(tf.equal(tf.argmax(logits, 1), labels), tf.float32), name="accuracy")
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits), name="cross_entropy"
    )


def autoencoder() -> Any:
    """What the loss compares with is the network's own input."""
    x = v1.placeholder(tf.float32, [None, 6], name="x")
    return tf.reduce_mean(tf.square(graphs.dense(graphs.dense(x, 3, "code", relu=True), 6, "out") - x), name="error")


def two_losses() -> Any:
    x, y = (v1.placeholder(tf.float32, [None, 4], name=name) for name in "xy")
    out = graphs.dense(x, 4, "out")
    tf.reduce_mean(tf.abs(out - y), name="absolute")
    return tf.reduce_mean(tf.square(out - y), name="squared")


def test_a_loss_trains_and_its_gradients_are_tensorflows(tmp_path):
    graph = graphs.write(tmp_path, classifier)
    conversion = tf2ms.convert(graph, name="Small")
    assert "Adam(learning_rate=0.001" in conversion.notes[0] and "'cross_entropy'" in conversion.notes[0]
    assert "the graph has a loss and no optimizer" in conversion.code
    assert "def create_optimizer(parameters, learning_rate=0.001)" in conversion.code
    assert conversion.map["optimizer"]["assumed"]
    assert [item["tensor"] for item in conversion.map["outputs"]] == ["out/out:0"]
    conversion.write(tmp_path / "out")
    evidence = verify(graph, tmp_path / "out")
    assert evidence.passed, [*evidence.failures(), *evidence.crashes]
    compared = {level: {c.what for c in evidence.checks if c.level == level} for level in evidence.levels}
    assert compared["gradients"] == {"table", "gamma", "beta", "out/weights", "out/biases"}
    assert compared["update"] == {"running_mean", "running_variance"}
    assert evidence.skipped == {"free": "the graph has no optimizer"}
    module = tmp_path / "out" / "small_ms.py"
    code = module.read_text().replace("nn.BatchNorm2d(6, ", "nn.BatchNorm2d(6, momentum=0.8, ")
    module.write_text(code.replace("ops.gather(", "ops.stop_gradient(self.embedding_lookup)[words] + 0 * ops.gather("))
    evidence = verify(graph, tmp_path / "out", levels=["gradients", "update"])
    missed = {check.what for check in evidence.failures()}
    assert missed == {"table", "running_mean", "running_variance"}, code


def test_which_loss_is_asked_where_it_is_not_clear(tmp_path):
    graph = graphs.write(tmp_path, two_losses)
    conversion = tf2ms.convert(graph)
    assert conversion.map["loss"] is None
    assert any("each of absolute, squared may be a loss" in note for note in conversion.notes)
    assert tf2ms.convert(graph, loss="absolute").map["loss"] == "absolute:0"
    graph = graphs.write(tmp_path, autoencoder)
    assert tf2ms.convert(graph).map["loss"] is None
    result = CliRunner().invoke(main, ["inspect", graph, "--loss", "error", "--json"])
    assert json.loads(result.stdout)["optimizer"]["assumed"]
    assert tf2ms.convert(graph, outputs=["error"]).map["loss"] is None


def test_a_loss_of_constants_has_nothing_to_train(tmp_path):
    def frozen() -> Any:
        x, y = (v1.placeholder(tf.float32, [None, 2], name=name) for name in "xy")
        return tf.reduce_mean(tf.square(tf.matmul(x, [[1.0, 2.0], [3.0, 4.0]]) - y), name="loss")

    graph = graphs.write(tmp_path, frozen)
    with pytest.raises(GraphError, match="nothing to train: 'loss' depends on no variable"):
        tf2ms.convert(graph, loss="loss")
    assert tf2ms.convert(graph).map["loss"] is None
