"""One small training graph, exported in every form TensorFlow has, once for all tests."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest


@dataclass(frozen=True)
class Exports:
    """Where the exports of the graph are, and what the variables hold."""

    folder: Path
    variables: dict[str, np.ndarray]

    def __truediv__(self, name: str) -> Path:
        return self.folder / name


@pytest.fixture(scope="session")
def tf():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return pytest.importorskip("tensorflow")


def build(tf, batch):
    """A network with a loss, Adam, and a loop, in TensorFlow 1's style."""
    v1 = tf.compat.v1
    images = v1.placeholder(tf.float32, [batch, 16, 16, 3], name="images")
    labels = v1.placeholder(tf.float32, [batch, 4], name="labels")
    value = images
    for i, channels in enumerate((3, 8)):
        with v1.variable_scope(f"conv{i}"):
            weights = v1.get_variable("weights", [3, 3, channels, 8])
            biases = v1.get_variable("biases", [8], initializer=v1.zeros_initializer())
            value = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(value, weights, [1, 2, 2, 1], "SAME"), biases))
    _, value = tf.while_loop(lambda i, _: i < 3, lambda i, v: (i + 1, v * 1.5), [tf.constant(0), value], name="loop")
    dense = v1.get_variable("dense", [128, 4])
    output = tf.matmul(tf.reshape(value, [-1, 128]), dense, name="output")
    loss = tf.sqrt(tf.reduce_sum(tf.square(output - labels)), name="loss")
    v1.train.AdamOptimizer(1e-4).minimize(loss)


@pytest.fixture(scope="session")
def exports(tf, tmp_path_factory) -> Exports:
    folder = tmp_path_factory.mktemp("exports") / "robonet"
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph, v1.Session() as session:
        v1.disable_control_flow_v2()
        v1.disable_resource_variables()
        try:
            build(tf, 2)
        finally:
            v1.enable_resource_variables()
            v1.enable_control_flow_v2()
        saver = v1.train.Saver()
        session.run(v1.global_variables_initializer())
        graph_def = graph.as_graph_def()
        saver.save(session, str(folder / "robonet.ckpt"), write_meta_graph=False)
        for shapes in (False, True):
            for text in (False, True):
                name = "graph" + "_shapes" * shapes + (".pbtxt" if text else ".pb")
                tf.io.write_graph(graph.as_graph_def(add_shapes=shapes), str(folder), name, as_text=text)
        v1.train.export_meta_graph(str(folder / "robonet.meta"), graph=graph, saver_def=saver.saver_def)
        v1.train.export_meta_graph(str(folder / "text.meta"), graph=graph, as_text=True)
        v1.train.export_meta_graph(str(folder / "stripped.meta"), graph=graph, strip_default_attrs=True)
        v1.summary.FileWriter(str(folder / "logs" / "train"), graph).close()
        frozen = v1.graph_util.convert_variables_to_constants(session, graph_def, ["output"])
        tf.io.write_graph(frozen, str(folder), "frozen.pb", as_text=False)
        inputs, outputs = {"x": graph.get_tensor_by_name("images:0")}, {"y": graph.get_tensor_by_name("output:0")}
        v1.saved_model.simple_save(session, str(folder / "saved1"), inputs, outputs)
        variables = session.run({variable.op.name: variable for variable in v1.global_variables()})
    return Exports(folder, variables)


@pytest.fixture(scope="session")
def module_export(tf, tmp_path_factory) -> Path:
    """A SavedModel and an object-based checkpoint of TensorFlow 2, of one module."""
    folder = tmp_path_factory.mktemp("module")

    class Module(tf.Module):
        def __init__(self):
            super().__init__()
            self.kernel = tf.Variable(np.arange(12, dtype=np.float32).reshape(3, 4), name="dense/kernel")

        @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32)])
        def __call__(self, x):
            return tf.nn.relu(x @ self.kernel)

    module = Module()
    tf.saved_model.save(module, str(folder / "saved2"))
    tf.train.Checkpoint(module).write(str(folder / "objects"))
    return folder
