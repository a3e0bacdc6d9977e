"""Functions of the library stand where they are called, and SavedModels are read by their signatures."""

from __future__ import annotations

import numpy as np
import pytest
from tensorboard.compat.proto.graph_pb2 import GraphDef

import tf2ms
from tf2ms.errors import SourceError
from tf2ms.inspection import inspect
from tf2ms.source import read_source
from tf2ms.source.functions import inline_calls


def _graph(tf, function, *specs) -> GraphDef:
    """The graph of a traced function as somebody else's program may write it: calls and all."""
    concrete = tf.function(function).get_concrete_function(*specs)
    return GraphDef.FromString(concrete.graph.as_graph_def().SerializeToString())


def test_bodies_take_their_calls_scope(tf):
    dense = tf.function(lambda x: tf.nn.relu(tf.matmul(x, tf.ones([3, 3]), name="product"), name="active"))

    @tf.function
    def block(x):
        with tf.name_scope("first"):
            x = dense(x)
        with tf.name_scope("second"):
            return dense(x) + 1.0

    graph = _graph(tf, lambda x: block(x), tf.TensorSpec([2, 3], tf.float32, name="x"))
    assert any(node.op.endswith("PartitionedCall") for node in graph.node)
    inlined = inline_calls(graph)
    names = {node.name: node.op for node in inlined.node}
    assert not any(op.endswith("PartitionedCall") for op in names.values()) and not inlined.library.function
    assert {"first/product", "first/active", "second/product", "second/active", "second/add"} <= set(names)
    x = np.random.default_rng(0).normal(size=(2, 3)).astype("float32")
    (actual,) = tf2ms.convert(graph, outputs=["PartitionedCall:0"]).run({"x": x})
    np.testing.assert_allclose(actual, block(tf.constant(x)).numpy(), rtol=1e-6)


def test_repeated_calls_are_named_after_what_they_call(tf):
    @tf.function
    def twice(x):
        return tf.square(x, name="squared") + tf.split(x, 2)[1][0]

    graph = _graph(tf, lambda x: twice(twice(x)), tf.TensorSpec([4], tf.float32, name="x"))
    inlined = inline_calls(graph)
    assert {"twice/squared", "twice_1/squared"} <= {node.name for node in inlined.node}
    x = np.arange(4, dtype="float32")
    (actual,) = tf2ms.convert(graph, outputs=["Identity:0"]).run({"x": x})
    np.testing.assert_allclose(actual, twice(twice(tf.constant(x))).numpy())


def test_many_outputs_and_control_flow(tf):
    @tf.function
    def halves(x):
        return tf.split(x, 2, axis=1)

    @tf.function
    def loop(x):
        return tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, halves(tf.tile(y, [1, 2]))[1]), (0, x))

    graph = _graph(tf, lambda x: (loop(x)[1], halves(x)[1]), tf.TensorSpec([2, 4], tf.float32, name="x"))
    inlined = inline_calls(graph)
    kept = [function.signature.name for function in inlined.library.function]
    assert len(kept) == 2, f"what the loop calls, in which calls are replaced too: {kept}"
    ops = {node.op for function in inlined.library.function for node in function.node_def}
    assert "Split" in ops and not any(op.endswith("PartitionedCall") for op in ops)
    (split,) = (node for node in inlined.node if node.op == "Split")
    assert any(f"{split.name}:1" in node.input for node in inlined.node)
    tf.graph_util.import_graph_def(tf.compat.v1.GraphDef.FromString(inlined.SerializeToString()), name="")


def test_recursion_and_missing_functions_are_named():
    graph = GraphDef()
    graph.node.add(name="x", op="Placeholder").attr["dtype"].type = 1
    call = graph.node.add(name="y", op="PartitionedCall", input=["x"])
    call.attr["f"].func.name = "ping"
    for name, other in (("ping", "pong"), ("pong", "ping")):
        function = graph.library.function.add()
        function.signature.name = name
        function.signature.input_arg.add(name="x", type=1)
        function.signature.output_arg.add(name="y", type=1)
        function.node_def.add(name="call", op="PartitionedCall", input=["x"]).attr["f"].func.name = other
        function.ret["y"] = "call:output:0"
    with pytest.raises(SourceError, match=r"'ping' calls itself \(ping → pong → ping\): recursion"):
        read_source(graph)
    graph.library.function[1].node_def[0].attr["f"].func.name = "gone"
    with pytest.raises(SourceError, match="calls the function 'gone', which it does not hold"):
        read_source(graph)


@pytest.fixture(scope="module")
def model(tf, tmp_path_factory):
    """(a module with two signatures of its own, its SavedModel)."""

    class Model(tf.Module):
        def __init__(self):
            super().__init__()
            values = np.random.default_rng(3).normal(size=(4, 3)).astype("float32")
            self.kernel = tf.Variable(values, name="kernel")
            self.twin = tf.Variable(values + 1, name="kernel")

        @tf.function
        def scores(self, x):
            return {"score": tf.matmul(x, self.kernel), "again": tf.nn.relu(tf.matmul(x, self.twin))}

        @tf.function
        def classes(self, x):
            return {"label": tf.argmax(self.scores(x)["again"], axis=1)}

    module = Model()
    spec = tf.TensorSpec([None, 4], tf.float32, name="x")
    folder = tmp_path_factory.mktemp("signatures") / "ranker"
    made = {name: getattr(module, name).get_concrete_function(spec) for name in ("scores", "classes")}
    tf.saved_model.save(module, str(folder), signatures=made)
    return module, folder


def test_signature_is_chosen(model):
    module, folder = model
    with pytest.raises(SourceError, match="no signature 'serving_default'; choose one with --signature") as error:
        read_source(folder)
    assert "scores(x: float [?, 4]) -> again: float [?, 3], score: float [?, 3]" in str(error.value)
    with pytest.raises(SourceError, match="no signature 'best'; it has classes"):
        read_source(folder, "best")
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    expected = module.scores(x)
    again, score = tf2ms.convert(folder, signature="scores").run({"scores_x": x})
    np.testing.assert_allclose(again, expected["again"].numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(score, expected["score"].numpy(), rtol=1e-5, atol=1e-6)
    (label,) = tf2ms.convert(folder, signature="classes").run({"classes_x": x})
    assert label.dtype == np.int64 and np.array_equal(label, expected["again"].numpy().argmax(1))


def test_inspect_shows_signatures(model):
    found = inspect(model[1], signature="classes")
    assert set(found.signatures) == {"classes", "scores"} and found.signature == "classes"
    assert found.to_dict()["signature"] == "classes" and not found.unsupported


def test_saved_model_of_tensorflow_1(exports, tf, tmp_path):
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        image = v1.placeholder(tf.float32, [None, 4], name="image")
        v1.placeholder_with_default(0.5, [], name="keep")
        kernel = v1.get_variable("layer/kernel", [4, 2], use_resource=False)
        doubled = v1.get_variable("doubled", [2], use_resource=True, initializer=v1.ones_initializer())
        y = tf.nn.bias_add(tf.matmul(image, kernel), doubled, name="y")
        v1.summary.scalar("mean", tf.reduce_mean(y))
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(tmp_path / "old"), {"image": image}, {"y": y})
        x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
        expected = session.run(y, {image: x})
    conversion = tf2ms.convert(tmp_path / "old")
    assert [item["tensor"] for item in conversion.map["inputs"]] == ["image:0"]
    (actual,) = conversion.run({"image": x})
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)
    assert read_source(exports / "saved1").signature.outputs == (("y", "output:0"),)


def test_only_saved_models_have_signatures(exports):
    with pytest.raises(SourceError, match="a GraphDef has no signatures"):
        read_source(exports / "graph.pb", "serving_default")


def test_a_saved_model_without_a_signature(module_export, tf, tmp_path):
    class Module(tf.Module):
        @tf.function
        def __call__(self, x):
            return x + 1.0

    tf.saved_model.save(Module(), str(tmp_path / "bare"))
    with pytest.raises(SourceError, match="no signature"):
        read_source(tmp_path / "bare")
