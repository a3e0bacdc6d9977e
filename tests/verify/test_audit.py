"""The audit of hand ports: PoseNet's four known slips, and others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import graphs
import pytest
import tensorflow as tf
from tensorflow.python.training.moving_averages import assign_moving_average

from tf2ms.errors import SourceError
from tf2ms.verify.audit import audit

v1 = tf.compat.v1

HERE = Path(__file__).parent


def test_the_four_slips_of_a_posenet_ported_by_eye(posenet_none):
    found = audit(posenet_none / "graph_shapes.pb", f"{HERE / 'hand_port.py'}:PoseNet")
    assert found.matched == found.layers
    slips = {(item.what, item.path) for item in found.departures}
    assert slips == {
        ("wrong kernel size", "icp1.out3.conv"),
        ("undefined attribute", "PoseNetWithLoss"),
        ("flatten in NCHW order", "cls1_fc1_pose"),
        ("wrong learning rate", "nn.Adam"),
    }
    kernel = next(item for item in found.departures if item.what == "wrong kernel size")
    assert (kernel.port, kernel.graph, kernel.node) == ("5x5", "1x1", "icp1_out3/BiasAdd")
    rate = next(item for item in found.departures if item.what == "wrong learning rate")
    assert (rate.port, rate.graph) == ("0.001", "0.0001")


PORT = """
import mindspore.nn as nn
import mindspore.ops as ops


class Port(nn.Cell):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 5, 2, pad_mode="same", has_bias=True)
        self.pool = nn.MaxPool2d(3, 2, "same")
        self.norm = nn.LRN(2, 1.0, 0.02, 0.75)
        self.left = nn.Conv2d(8, 6, 1, pad_mode="same", has_bias=True)
        self.right = nn.Conv2d(8, 4, 3, pad_mode="same", has_bias=True)
        self.hidden = nn.Dense(90, 12, activation="relu")
        self.xyz, self.wpqr = nn.Dense(12, 3), nn.Dense(12, 4)

    def construct(self, x):
        x = self.norm(self.pool(ops.relu(self.first(x))))
        x = ops.concat((ops.relu(self.left(x)), ops.relu(self.right(x))), 1)
        x = self.hidden(ops.transpose(x, (0, 2, 3, 1)).reshape(-1, 90))
        return self.xyz(x), self.wpqr(x)


def train(network):
    return nn.Momentum(network.trainable_params(), 0.01, momentum=0.9)
"""


@pytest.fixture(scope="module")
def graph(tmp_path_factory) -> str:
    return graphs.write(tmp_path_factory.mktemp("graph"), graphs.two_heads, graphs.momentum)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, set()),
        (
            {
                'nn.Conv2d(3, 8, 5, 2, pad_mode="same"': 'nn.Conv2d(3, 8, 5, 3, pad_mode="valid"',
                'nn.Conv2d(8, 6, 1, pad_mode="same", has_bias=True)': "nn.Conv2d(8, 6, 1, has_bias=False)",
                "nn.LRN(2, 1.0, 0.02, 0.75)": "nn.LRN(2, 1.0, 0.2, 0.75)",
                "ops.relu(self.right(x))": "self.right(x)",
                "0.01, momentum=0.9": "0.1, 0.5",
            },
            {
                ("wrong stride", "first"),
                ("wrong padding", "first"),
                ("missing bias", "left"),
                ("wrong alpha", "norm"),
                ("is given something else", "hidden"),
                ("wrong learning rate", "nn.Momentum"),
                ("wrong momentum", "nn.Momentum"),
            },
        ),
        (
            {"self.norm(self.pool(": "self.pool((", "        self.norm = nn.LRN(2, 1.0, 0.02, 0.75)\n": ""},
            {("missing layer", None), ("is given something else", "left")},
        ),
    ],
    ids=["right", "many", "layer missing"],
)
def test_departures(changes, expected, graph, tmp_path):
    text = PORT
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "port.py").write_text(text)
    found = audit(graph, f"{tmp_path / 'port.py'}:Port")
    assert {(item.what, item.path) for item in found.departures} == expected, [*map(str, found.departures)]


def test_a_port_that_cannot_be_made_is_a_result(graph, tmp_path):
    (tmp_path / "port.py").write_text(PORT.replace("nn.Dense(90, 12", "nn.Dens(90, 12"))
    found = audit(graph, f"{tmp_path / 'port.py'}:Port")
    assert found.departures[0].what == "it cannot be made"
    assert "Dens" in found.departures[0].port


def test_what_is_not_there(graph, tmp_path):
    (tmp_path / "port.py").write_text(PORT)
    for port, message in ((f"{tmp_path / 'port.py'}:No", "has no class No"), ("x.py", "form"), ("no.py:A", "no.py")):
        with pytest.raises(SourceError, match=message):
            audit(graph, port)


def residual() -> Any:
    """Batch normalisation and dropout as they are while training, and a shortcut."""
    x = v1.placeholder(tf.float32, [None, 8, 8, 3], name="images")
    labels = v1.placeholder(tf.int64, [None], name="labels")

    def normalised(x: Any, name: str) -> Any:
        with v1.variable_scope(name):
            scale, offset = graphs.weights("gamma", [6]), graphs.weights("beta", [6])
            x, *own = v1.nn.fused_batch_norm(x, scale, offset, epsilon=1e-3, is_training=True)
            for part, value in zip(("moving_mean", "moving_variance"), own, strict=False):
                running = v1.get_variable(part, [6], initializer=v1.ones_initializer(), trainable=False)
                assign_moving_average(running, value, 0.9, zero_debias=False)
        return x

    with v1.variable_scope("stem"):
        x = tf.nn.relu(normalised(tf.nn.conv2d(x, graphs.weights("weights", [3, 3, 3, 6]), 2, "SAME"), "bn"))
    with v1.variable_scope("body"):
        x = tf.nn.relu(x + normalised(tf.nn.conv2d(x, graphs.weights("weights", [3, 3, 6, 6]), 1, "SAME"), "bn"))
    x = tf.nn.dropout(graphs.dense(tf.reshape(x, [-1, 96]), 10, "fc1", relu=True), rate=0.3)
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=graphs.dense(x, 4, "fc2"))
    )


RESIDUAL = """
import mindspore.nn as nn
import mindspore.ops as ops


class Port(nn.Cell):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, 2, pad_mode="same")
        self.stem_bn = nn.BatchNorm2d(6, eps=1e-3)
        self.body = nn.Conv2d(6, 6, 3, pad_mode="same")
        self.body_bn = nn.BatchNorm2d(6, eps=1e-3)
        self.fc1 = nn.Dense(96, 10)
        self.dropout = nn.Dropout(p=0.3)
        self.fc2 = nn.Dense(10, 4)

    def construct(self, x):
        x = ops.relu(self.stem_bn(self.stem(x)))
        x = ops.relu(x + self.body_bn(self.body(x)))
        x = ops.transpose(x, (0, 2, 3, 1)).reshape(-1, 96)
        return self.fc2(self.dropout(ops.relu(self.fc1(x))))
"""


def test_layers_that_are_training(tmp_path):
    graph = graphs.write(tmp_path, residual, graphs.adam)
    text = RESIDUAL
    found = []
    for changes in (
        {},
        {
            "self.body_bn = nn.BatchNorm2d(6, eps=1e-3)": "self.body_bn = nn.BatchNorm2d(6)",
            "nn.Conv2d(6, 6, 3, ": "nn.Conv2d(6, 6, 3, has_bias=True, ",
            "nn.Dropout(p=0.3)": "nn.Dropout(p=0.5)",
            "ops.relu(x + self.body_bn(self.body(x)))": "x + ops.relu(self.body_bn(self.body(x)))",
        },
    ):
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "port.py").write_text(text)
        found.append({(item.what, item.path) for item in audit(graph, f"{tmp_path / 'port.py'}:Port").departures})
    assert found[0] == set()
    assert found[1] == {
        ("wrong epsilon", "body_bn"),
        ("a bias too many", "body"),
        ("wrong rate", "dropout"),
        ("is given something else", "fc1"),
    }
