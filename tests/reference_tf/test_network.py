"""The graph of PoseNet against the facts about it, and the layers against numpy."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from reference_tf.quiet import load_tensorflow

load_tensorflow()

import tensorflow as tf  # noqa: E402
import tensorflow.compat.v1 as tf1  # noqa: E402

from reference_tf.export import export  # noqa: E402
from reference_tf.network import Network  # noqa: E402
from reference_tf.posenet import OUTPUTS, build_training_graph  # noqa: E402
from reference_tf.weights import as_layer_dict, glorot_uniform, initialise, trainable_variables  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("posenet")
    export(folder, batch=75, seed=3)
    return folder


@pytest.fixture(scope="module")
def nodes(folder: Path) -> dict[str, tf1.NodeDef]:
    graph = tf1.GraphDef.FromString((folder / "graph.pb").read_bytes())
    return {node.name: node for node in graph.node}


@pytest.fixture(scope="module")
def shapes(folder: Path) -> dict[str, list[int]]:
    graph = tf1.GraphDef.FromString((folder / "graph_shapes.pb").read_bytes())
    return {
        node.name: [dim.size for dim in node.attr["_output_shapes"].list.shape[0].dim]
        for node in graph.node
        if node.attr["_output_shapes"].list.shape
    }


def test_number_of_nodes_and_ops(nodes):
    assert len(nodes) == 4635
    forward = Counter(node.op for name, node in nodes.items() if not name.startswith("gradients/"))
    expected = {"Conv2D": 59, "BiasAdd": 68, "Relu": 62, "MaxPool": 13, "AvgPool": 3, "ConcatV2": 9, "LRN": 2}
    assert {op: forward[op] for op in expected} == expected
    assert forward["MatMul"] == 9
    assert forward["ApplyAdam"] == 136


def test_variables(shapes, nodes):
    variables = {name.removesuffix("/Adam") for name in nodes if name.endswith("/Adam") and nodes[name].op != "Const"}
    assert len(variables) == 136
    assert sum(int(np.prod(shapes[name])) for name in variables) == 12_431_173
    assert {nodes[name].op for name in variables} == {"VariableV2"}
    # The default initializer of get_variable is glorot_uniform, for biases as well.
    assert nodes["conv1/biases/Initializer/random_uniform/RandomUniform"].attr["seed"].i == 0


@pytest.mark.parametrize(
    ("name", "op", "shape"),
    [
        ("Placeholder", "Placeholder", [75, 224, 224, 3]),
        ("Placeholder_1", "Placeholder", [75, 3]),
        ("Placeholder_2", "Placeholder", [75, 4]),
        ("use_dropout", "PlaceholderWithDefault", []),
        ("conv1/Conv2D", "Conv2D", [75, 112, 112, 64]),
        ("conv1/BiasAdd", "BiasAdd", [75, 112, 112, 64]),
        ("conv1/conv1", "Relu", [75, 112, 112, 64]),
        ("pool1", "MaxPool", [75, 56, 56, 64]),
        ("norm1", "LRN", [75, 56, 56, 64]),
        ("norm2", "LRN", [75, 56, 56, 192]),
        ("icp1_out3/icp1_out3", "Relu", [75, 28, 28, 32]),
        ("icp2_in", "ConcatV2", [75, 28, 28, 256]),
        ("icp2_out", "ConcatV2", [75, 28, 28, 480]),
        ("icp3_out", "ConcatV2", [75, 14, 14, 512]),
        ("icp6_out", "ConcatV2", [75, 14, 14, 528]),
        ("icp9_out", "ConcatV2", [75, 7, 7, 1024]),
        ("cls1_pool", "AvgPool", [75, 4, 4, 512]),
        ("cls1_fc1_pose/Reshape", "Reshape", [75, 2048]),
        ("cls1_fc1_pose/cls1_fc1_pose", "Relu", [75, 1024]),
        ("cls3_pool", "AvgPool", [75, 1, 1, 1024]),
        ("cls3_fc1_pose/cls3_fc1_pose", "Relu", [75, 2048]),
        ("icp1_out3/weights", "VariableV2", [1, 1, 192, 32]),
        ("icp9_out2/weights", "VariableV2", [5, 5, 48, 128]),
        *((f"{name}/{name}", "BiasAdd", [75, 3 if name.endswith("xyz") else 4]) for name in OUTPUTS),
    ],
)
def test_node(nodes, shapes, name, op, shape):
    assert nodes[name].op == op
    assert shapes[name] == shape


def test_loss_and_optimizer(nodes):
    factors = [
        tf.make_ndarray(nodes[f"mul{suffix}/y"].attr["value"].tensor)
        for suffix in ("", *map("_{}".format, range(1, 6)))
    ]
    np.testing.assert_allclose(factors, [0.3, 150, 0.3, 150, 1, 500], rtol=1e-7)
    assert nodes["add_4"].op == "AddV2"
    adam = {
        key: float(tf.make_ndarray(nodes[f"Adam/{key}"].attr["value"].tensor))
        for key in ("learning_rate", "beta1", "beta2", "epsilon")
    }
    assert adam == pytest.approx({"learning_rate": 1e-4, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}, rel=1e-6)
    lrn = nodes["norm1"].attr
    assert (lrn["depth_radius"].i, lrn["alpha"].f, lrn["beta"].f, lrn["bias"].f) == pytest.approx((2, 2e-5, 0.75, 1))


def test_text_log_and_meta_hold_the_same_graph(folder, nodes):
    from google.protobuf import text_format

    text = text_format.Parse((folder / "graph.pbtxt").read_text(), tf1.GraphDef())
    assert {node.name: node.op for node in text.node} == {name: node.op for name, node in nodes.items()}
    (log,) = (folder / "logs").iterdir()
    logged = [event.graph_def for event in tf1.train.summary_iterator(str(log)) if event.graph_def]
    assert len(tf1.GraphDef.FromString(logged[0]).node) == len(nodes)
    meta = tf1.MetaGraphDef.FromString((folder / "posenet.meta").read_bytes())
    assert len(meta.graph_def.node) == len(nodes)


def test_weights_are_the_same_in_checkpoint_frozen_graph_and_npy(folder):
    layers = np.load(folder / "posenet.npy", allow_pickle=True).item()
    assert len(layers) == 68
    reader = tf1.train.load_checkpoint(str(folder / "posenet.ckpt"))
    np.testing.assert_array_equal(reader.get_tensor("conv1/weights"), layers["conv1"]["weights"])
    assert reader.get_tensor("beta1_power") == pytest.approx(0.9)
    frozen = {node.name: node for node in tf1.GraphDef.FromString((folder / "frozen.pb").read_bytes()).node}
    biases = tf.make_ndarray(frozen["cls3_fc_pose_wpqr/biases"].attr["value"].tensor)
    np.testing.assert_array_equal(biases, layers["cls3_fc_pose_wpqr"]["biases"])
    assert not any(node.op.startswith("Variable") for node in frozen.values())
    assert np.abs(layers["conv1"]["weights"]).max() <= np.sqrt(6 / (7 * 7 * (3 + 64)))
    assert np.abs(layers["conv1"]["biases"]).max() <= np.sqrt(6 / (64 + 64))


def test_any_batch_size_and_seeds():
    training = build_training_graph(batch=None)
    assert training.images.shape.as_list() == [None, 224, 224, 3]
    assert [output.shape.as_list() for output in training.outputs] == [[None, 3], [None, 4]] * 3
    assert len(trainable_variables(training)) == 136

    # A seed gives the same weights each time, and another seed others.
    weights = []
    with tf1.Session(graph=training.graph) as session:
        for seed in (0, 0, 1):
            initialise(session, training, seed)
            weights.append(as_layer_dict(session, training)["cls1_reduction_pose"]["weights"])
    np.testing.assert_array_equal(weights[0], weights[1])
    assert (weights[0] != weights[2]).mean() > 0.99


@pytest.mark.parametrize("shape", [(7,), (5, 11), (3, 3, 4, 6)])
def test_glorot_uniform_is_tensorflows(shape):
    with tf.Graph().as_default(), tf1.Session() as session:
        theirs = session.run([tf1.glorot_uniform_initializer(seed=seed)(shape) for seed in range(40)])
    generator = np.random.default_rng(0)
    ours = [glorot_uniform(shape, generator) for _ in range(40)]
    assert ours[0].dtype == np.float32
    assert np.max(np.abs(ours)) == pytest.approx(np.max(np.abs(theirs)), rel=0.03)
    assert np.std(ours) == pytest.approx(np.std(theirs), rel=0.15)


class Grouped(Network):
    """Two groups, then no ReLU and no bias, then a dense layer on a picture."""

    def setup(self) -> None:
        self.feed("images").conv(3, 3, 6, 2, 2, name="grouped", group=2)
        self.conv(1, 1, 5, 1, 1, name="plain", relu=False, biased=False).fc(2, name="dense", relu=False)


def test_group_convolution_is_one_convolution_per_group():
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 4)).astype(np.float32)
    with tf.Graph().as_default() as graph:
        net = Grouped({"images": tf1.placeholder(tf.float32, [None, 5, 6, 4])})
        ops = {op.name: op.type for op in graph.get_operations()}
        assert ops["grouped/grouped"] == "Relu"
        assert [ops[f"grouped/{name}"] for name in ("split", "split_1", "Conv2D", "Conv2D_1", "concat")] == [
            "Split",
            "Split",
            "Conv2D",
            "Conv2D",
            "ConcatV2",
        ]
        with tf1.Session() as session:
            session.run(tf1.global_variables_initializer())
            names = ["grouped", "plain", "dense"]
            feeds = {net.inputs["images"]: x}
            grouped, plain, dense = session.run([net.layers[name] for name in names], feeds)
            weights = dict(
                zip(*(lambda v: ([x.op.name for x in v], session.run(v)))(tf1.global_variables()), strict=True)
            )
    kernel = weights["grouped/weights"]
    assert kernel.shape == (3, 3, 2, 6)
    halves = [tf.nn.conv2d(x[..., 2 * i : 2 * i + 2], kernel[..., 3 * i : 3 * i + 3], 2, "SAME") for i in range(2)]
    expected = np.maximum(np.concatenate(halves, axis=-1) + weights["grouped/biases"], 0)
    np.testing.assert_allclose(grouped, expected, atol=1e-5)
    np.testing.assert_allclose(plain, grouped @ weights["plain/weights"][0, 0], atol=1e-5)
    expected = plain.reshape(2, -1) @ weights["dense/weights"] + weights["dense/biases"]
    np.testing.assert_allclose(dense, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda net: net.feed("nowhere"), "nowhere"),
        (lambda net: net.feed(), "needs the name"),
        (lambda net: net.feed("images").conv(1, 1, 6, 1, 1, name="odd", group=4), "4 groups"),
        (lambda net: net.feed("images", "grouped").fc(2, name="two"), "reads one layer"),
        (lambda net: net.feed("images").lrn(2, 1e-5, 0.75, name="grouped"), "already"),
    ],
)
def test_mistakes_of_a_layer_list(build, message):
    with tf.Graph().as_default():
        net = Grouped({"images": tf1.placeholder(tf.float32, [None, 5, 6, 6])})
        with pytest.raises((KeyError, ValueError), match=message):
            build(net)
