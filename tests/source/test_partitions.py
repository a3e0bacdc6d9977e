"""Variables that TensorFlow 1 kept in parts, and mistakes of the command line."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.compat.proto import types_pb2
from tensorboard.compat.proto.graph_pb2 import GraphDef

import tf2ms

v1 = tf.compat.v1
X = np.random.default_rng(0).normal(size=(2, 6)).astype("float32")


def partitioned(folder, resource, read_a_part=False):
    """What the network gives; its graph and checkpoint are in the folder."""
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        x = v1.placeholder(tf.float32, (None, 6), name="x")
        with v1.variable_scope("net", partitioner=v1.fixed_size_partitioner(3), use_resource=resource):
            kernel = v1.get_variable("kernel", (6, 4))
            bias = v1.get_variable("bias", (4,), initializer=v1.random_normal_initializer())
        y = tf.nn.relu(tf.matmul(x, kernel) + bias)
        y = tf.identity(y + tf.reduce_sum(list(kernel)[1]) if read_a_part else y, name="y")
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(folder / "model"))
        return session.run(y, {x: X})


@pytest.mark.parametrize("resource", [False, True])
def test_the_parts_of_a_variable_are_one_parameter(tmp_path, resource):
    wanted = partitioned(tmp_path, resource)
    conversion = tf2ms.convert(tmp_path / "model.meta", outputs=["y"], checkpoint=tmp_path / "model")
    assert "nn.Dense(6, 4, activation=" in conversion.code
    assert [item["variable"] for item in conversion.map["parameters"]] == ["net/kernel", "net/bias"]
    np.testing.assert_allclose(conversion.run({"x": X})[0], wanted, atol=1e-6)


def test_parts_that_are_read_by_themselves_stay_parts(tmp_path):
    partitioned(tmp_path, False, read_a_part=True)
    conversion = tf2ms.convert(tmp_path / "model.meta", outputs=["y"])
    names = [item["variable"] for item in conversion.map["parameters"]]
    assert names.count("net/bias") == 1 and "net/kernel/part_1" in names


def chain(length):
    """A function that calls a function that calls …"""
    graph_def = GraphDef()
    for index in range(length):
        function = graph_def.library.function.add()
        function.signature.name = f"f{index}"
        function.signature.input_arg.add(name="x", type=types_pb2.DT_FLOAT)
        function.signature.output_arg.add(name="y", type=types_pb2.DT_FLOAT)
        last = index == length - 1
        node = function.node_def.add(name="n", op="Relu" if last else f"f{index + 1}", input=["x"])
        node.attr["T"].type = types_pb2.DT_FLOAT
        function.ret["y"] = "n:activations:0" if last else "n:y:0"
    x = graph_def.node.add(name="x", op="Placeholder")
    x.attr["dtype"].type = types_pb2.DT_FLOAT
    x.attr["shape"].shape.dim.add(size=3)
    graph_def.node.add(name="call", op="f0", input=["x"])
    return graph_def


def test_functions_that_call_functions_without_end():
    conversion = tf2ms.convert(chain(60), outputs=["call"])
    assert conversion.code.count("ops.relu(") + conversion.code.count("nn.ReLU(") == 1
    with pytest.raises(tf2ms.SourceError, match="more than 100 deep"):
        tf2ms.convert(chain(3000), outputs=["call"])


def model():
    keras = tf.keras
    return keras.Sequential(
        [keras.Input((4,), name="image"), keras.layers.Dense(3, name="hidden"), keras.layers.Dense(2, name="logits")]
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"outputs": ["hiddn"]}, r"no tensor 'hiddn' in the graph; did you mean .*/hidden_1/BiasAdd\?"),
        ({"outputs": ["logit"]}, r"did you mean .*logits_1/BiasAdd\?"),
        ({"outputs": ["zzz"]}, r"its inputs: image; its ends: Identity"),
        (
            {"shapes": {"image": (1, 2, 4)}},
            r"the shape \[1, 2, 4\] is given for image, which is \[\?, 4\] in the graph",
        ),
    ],
)
def test_what_is_not_there_is_said_with_what_is(options, message):
    with pytest.raises(tf2ms.Tf2msError, match=message):
        tf2ms.convert(model(), **options)
