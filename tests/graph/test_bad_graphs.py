"""Graphs that make no sense, and names and constants from strangers: a clear error or a safe file, nothing else."""

from __future__ import annotations

import ast
import builtins
import keyword

import numpy as np
import pytest
import tensorflow as tf
from helpers import assert_same_outputs, build, conv, convert, dense, placeholder, renamed, v1, variable
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.util.tensor_util import make_tensor_proto

import tf2ms
from tf2ms.errors import GraphError, SourceError, Tf2msError, UnsupportedOpError


def node(name, op, *inputs, **attrs):
    made = NodeDef(name=name, op=op, input=inputs)
    for key, value in attrs.items():
        if key in ("T", "dtype"):
            made.attr[key].type = value
        elif isinstance(value, np.ndarray | np.generic):
            made.attr[key].tensor.CopyFrom(make_tensor_proto(value))
        elif isinstance(value, tuple):
            made.attr[key].shape.dim.extend([_dim(size) for size in value])
        elif isinstance(value, list):
            made.attr[key].list.i.extend(value)
        elif isinstance(value, bytes):
            made.attr[key].s = value
        else:
            made.attr[key].i = value
    return made


def _dim(size):
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto

    return TensorShapeProto.Dim(size=size)


def x(shape=(2, 3)):
    return node("x", "Placeholder", dtype=1, shape=shape)


def graph(*nodes):
    return GraphDef(node=nodes)


def no_traceback(source, **options):
    """A Tf2msError or code that compiles; returns the conversion if there is one."""
    try:
        conversion = tf2ms.convert(source, **options)
    except Tf2msError as error:
        assert str(error).strip()
        return None
    compile(conversion.code, "generated", "exec")
    return conversion


# -- structure ---------------------------------------------------------------------------------------------------------


def test_empty_graph():
    with pytest.raises(Tf2msError, match="no node"):
        tf2ms.convert(GraphDef())


def test_dangling_input_names_both_ends():
    with pytest.raises(Tf2msError, match=r"'?nowhere"):
        tf2ms.convert(graph(x(), node("y", "Relu", "nowhere", T=1)))


def test_dangling_control_input():
    with pytest.raises(Tf2msError, match="nowhere"):
        tf2ms.convert(graph(x(), node("y", "Relu", "x", "^nowhere", T=1)))


def test_cycle():
    with pytest.raises(Tf2msError):
        tf2ms.convert(graph(x(), node("a", "AddV2", "x", "b", T=1), node("b", "Relu", "a", T=1)))


def test_self_loop():
    with pytest.raises(Tf2msError):
        tf2ms.convert(graph(x(), node("a", "AddV2", "x", "a", T=1)))


def test_identities_in_a_circle():
    with pytest.raises(Tf2msError):
        tf2ms.convert(graph(x(), node("a", "Identity", "b", T=1), node("b", "Identity", "a", T=1)))


def test_a_node_defined_twice():
    with pytest.raises(Tf2msError, match="two nodes are called 'y'"):
        tf2ms.convert(graph(x(), node("y", "Relu", "x", T=1), node("y", "Relu", "x", T=1)))


@pytest.mark.parametrize("name", ["", " ", "^x", "x:0", "a:b:c", "x:"])
def test_names_that_tensorflow_has_not(name):
    no_traceback(graph(x(), node(name, "Relu", "x", T=1), node("z", "Relu", name, T=1)))
    no_traceback(graph(x(), node(name, "Relu", "x", T=1)))


@pytest.mark.parametrize("text", ["x:1", "x:99999999999999999999", "x:-1", "x:", ":0", "", "^", "^x", "x:0:0"])
def test_inputs_that_tensorflow_has_not(text):
    no_traceback(graph(x(), node("y", "Relu", text, T=1)))


def test_output_number_beyond_the_op():
    with pytest.raises(Tf2msError):
        tf2ms.convert(graph(x(), node("y", "Relu", "x:3", T=1)))


def test_only_placeholders():
    with pytest.raises(GraphError, match="output"):
        tf2ms.convert(graph(x()))


def test_too_few_and_too_many_inputs():
    for inputs in ((), ("x", "x"), ("x", "x", "x", "x")):
        for op in ("Relu", "Conv2D", "BiasAdd", "MatMul", "ConcatV2", "Reshape", "Mean", "Split", "Pow", "LRN"):
            no_traceback(graph(x(), node("y", op, *inputs, T=1)), allow_unsupported=False)
            no_traceback(graph(x(), node("y", op, *inputs, T=1)), allow_unsupported=True, outputs=["y"])


def test_apply_op_with_too_few_inputs():
    for op in ("ApplyAdam", "ApplyGradientDescent", "ResourceApplyMomentum", "ApplyMomentum"):
        no_traceback(graph(x(), node("v", "VariableV2", dtype=1, shape=(2, 3)), node("t", op, "v", "x", T=1)))


@pytest.mark.parametrize("loops", [1, 3])
def test_a_training_graph_whose_gradients_lead_nowhere(loops):
    nodes = [x(), node("v", "VariableV2", dtype=1, shape=(2, 3)), node("lr", "Const", dtype=1, value=np.float32(0.1))]
    nodes += [node(f"t{i}", "ApplyGradientDescent", "v", "lr", "x", T=1) for i in range(loops)]
    with pytest.raises(Tf2msError):
        tf2ms.convert(graph(*nodes))


# -- unknown ops -------------------------------------------------------------------------------------------------------


def two_unknown_ops():
    return graph(
        x(),
        node("scope/custom", "MyCustomOp", "x", T=1),
        node("scope/custom_1", "MyCustomOp", "scope/custom", T=1),
        node("other", "StringSplitV2x", "x", T=1),
        node("join", "AddV2", "scope/custom_1", "other", T=1),
        node("y", "Relu", "join", T=1),
    )


def test_all_unknown_ops_at_once():
    with pytest.raises(UnsupportedOpError) as error:
        tf2ms.convert(two_unknown_ops())
    assert {item.op: item.nodes for item in error.value.items} == {
        "MyCustomOp": ("scope/custom", "scope/custom_1"),
        "StringSplitV2x": ("other",),
    }
    message = str(error.value)
    assert "2 nodes" in message and "1 node " in message and "--allow-unsupported" in message


def test_allow_unsupported_marks_the_places():
    conversion = tf2ms.convert(two_unknown_ops(), allow_unsupported=True)
    ast.parse(conversion.code)
    assert "NotImplementedError" in conversion.code
    assert "MyCustomOp" in conversion.code
    assert len(conversion.lowered.unsupported) == 2
    with pytest.raises(NotImplementedError):
        conversion.run({"x": np.zeros((2, 3), np.float32)})


def test_allow_unsupported_does_not_trust_op_names():
    evil = 'Evil"); import os; os.system("echo pwned")#\n'
    source = graph(x(), node("custom", evil, "x", T=1), node("y", "Relu", "custom", T=1))
    conversion = no_traceback(source, allow_unsupported=True)
    if conversion is not None:
        assert_no_code_from_strangers(conversion.code)


@pytest.mark.parametrize("op", ["{0}", "{layer}", "{weight}", "{", "}", "{}", "%s", "a'b", "a\\", "'''", '"""'])
def test_op_types_with_braces_and_quotes(op):
    source = graph(x(), node("custom", op, "x", T=1), node("y", "Relu", "custom", T=1))
    no_traceback(source)
    conversion = no_traceback(source, allow_unsupported=True)
    assert conversion is not None


# -- names -------------------------------------------------------------------------------------------------------------

EVIL = [
    'x"); import os; os.system("echo pwned")#',
    'a\nimport os; os.system("echo pwned")\n',
    "a\r\nimport os",
    'a"""\nimport os\n"""',
    "a'''\nimport os\n'''",
    "a\\",
    'a\\"',
    "{{ 7 * 7 }}",
    "{% import os %}",
    "{0}",
    "{layer}",
    "a}b{c",
    "%s%d",
    "\x00null",
    "\u2028line",
    "\u202eright to left",
    "# comment",
    "f\u00fcr/\u00fcber",
    "\u5c42/\u5377\u79ef",
    "\U0001f600",
    "\ufb01ne",
    "\u212aelvin",
    "1conv",
    "123",
    "0/1/2",
    "a-b",
    "..",
    "../../etc/passwd",
    "/absolute",
    "a" * 5000,
    "/".join(["deep"] * 3000),
    "_" * 100,
    "-",
    "self",
    "x",
    "nn",
    "ops",
    "np",
    "ms",
    "math",
    "os",
    "ds",
    "argparse",
    "LRN",
    "lrn",
    "ConvReLU",
    "DenseReLU",
    "conv_relu",
    "Network",
    "NetworkLoss",
    "NetworkWithLoss",
    "main",
    "load",
    "predict",
    "create_network",
    "create_loss",
    "create_dataset",
    "SAMPLES",
    "OUTPUTS",
    "FROZEN",
    "Parameter",
    "initializer",
    "Normal",
    "glorot",
    "distance",
    "construct",
    "__init__",
    "__class__",
    "_cells",
    "_params",
    "super",
    "print",
    "None",
    "True",
    "match",
    "case",
    "type",
    "name",
    "phase",
    "training",
    "cells",
    "parameters_dict",
    "weight",
    "bias",
    "loss",
    "network",
    "target",
    "_auto_prefix",
    "cell_type",
    "pynative",
    "jit_config_dict",
    "to",
    "half",
    "float",
    "bprop",
    "grad",
    "param_tuple",
    "enable_hook",
    "saved_dynamic_shape",
    "__dict__",
    "forward",
    "hook_used",
]


def assert_no_code_from_strangers(code: str) -> None:
    """Nothing of an evil name runs: no call of os.system, no import beyond what the template has."""
    tree = ast.parse(code)
    for item in ast.walk(tree):
        if isinstance(item, ast.Attribute):
            assert item.attr != "system"
        if isinstance(item, ast.Import):
            assert {alias.name.partition(".")[0] for alias in item.names} <= {"argparse", "mindspore", "numpy", "os"}
        if isinstance(item, ast.ImportFrom):
            assert item.module.partition(".")[0] == "mindspore"


def named_model(a, b):
    """A training graph whose two layers, input and label are then called as the test wants."""
    x, y = placeholder([2, 6, 6, 3], a("in")), placeholder([2, 4], b("label"))
    h = tf.nn.relu(conv(x, (3, 3), 4, 2, name=a("layer")))
    h = tf.nn.relu(conv(h, (3, 3), 4, 1, name=b("layer")))
    o = dense(tf.reshape(h, [2, 36]), 4, "fc")
    return [o], tf.reduce_mean(tf.square(o - y))


@pytest.fixture(scope="module")
def plain():
    return build(lambda: named_model(lambda s: f"aaa_{s}", lambda s: f"bbb_{s}"))


def called(built, table):
    """The graph's nodes renamed: scopes and names of `table` replaced in every node's name."""
    names = {}
    for item in built.graph_def.node:
        name = item.name
        for old, new in table.items():
            name = new + name[len(old) :] if name == old or name.startswith(old + "/") else name
        names[item.name] = name
    return renamed(built.graph_def, names, seed=None)


@pytest.mark.parametrize("style", ["blocks", "flat"])
@pytest.mark.parametrize("name", EVIL, ids=lambda name: ascii(name)[:30])
def test_strange_names(name, style, plain):
    """As layer, input and label, each alone and all at once."""
    for table in (
        {"aaa_layer": name, "aaa_in": f"{name}_in", "bbb_layer": f"{name}_2", "bbb_label": f"{name} label"},
        {"aaa_in": name},
        {"bbb_label": name},
    ):
        try:
            source, _ = called(plain, table)
        except ValueError:
            return  # protobuf itself refuses the name
        try:
            conversion = tf2ms.convert(source, style=style)
        except Tf2msError:
            continue
        compile(conversion.code, "generated", "exec")
        assert_no_code_from_strangers(conversion.code)
        assert max(map(len, conversion.code.splitlines())) <= 400


SOME = ["self", "x", "nn", "ops", "os", "ms", "np", "ds", "LRN", "ConvReLU", "SAMPLES", "name", "phase", "training",
        "cells", "print", "None", "match", "weight", "network", "loss", "distance", "f\u00fcr", "1conv", "_params",
        "_cells", "bprop", "construct", "to", "grad", "float", "type", "len", "tuple", "x_2", "conv"]  # fmt: skip


@pytest.mark.parametrize("name", SOME)
def test_networks_with_strange_names_compute_the_same(name, plain, tmp_path):
    table = {"aaa_layer": name, "aaa_in": f"{name}_in", "bbb_layer": f"{name}_2", "bbb_label": f"{name}_label"}
    source, names = called(plain, table)
    conversion = convert(plain, tmp_path, source, names)
    assert_same_outputs(plain, conversion, table=names)
    from helpers import assert_same_training

    assert_same_training(plain, conversion, table=names)


@pytest.mark.parametrize(
    "names", [("a-b", "a_b"), ("A_B", "a_b"), ("a.b", "a-b"), ("a/b", "a_b"), ("a" * 60, "a" * 61)]
)
def test_names_that_become_the_same(names, plain, tmp_path):
    table = dict(zip(("aaa_layer", "bbb_layer"), names, strict=True))
    source, renames = called(plain, table)
    for style in ("blocks", "flat"):
        conversion = convert(plain, tmp_path, source, renames, style=style)
        assert len({item["name"] for item in conversion.map["parameters"]}) == 6
        assert_same_outputs(plain, conversion, table=renames)


@pytest.mark.parametrize("name", ["Pose-Net", "1net", "class", "für", "", " ", "a/b", "x\ny", "Cell", "nn", "LRN",
                                  "ConvReLU", "Model", "Parameter", "a" * 300, '"; import os', "main", "ds", "os",
                                  "LossMonitor", "TrainOneStepCell", "Normal", "mindspore", "numpy"])  # fmt: skip
def test_network_names(name, plain, tmp_path):
    try:
        conversion = convert(plain, tmp_path, name=name)
    except Tf2msError:
        return
    assert_no_code_from_strangers(conversion.code)
    assert conversion.name.isidentifier() and not keyword.iskeyword(conversion.name)
    assert f"{conversion.stem}_ms".isidentifier()
    assert_same_outputs(plain, conversion)
    for path in conversion.write(tmp_path / "out"):
        assert path.parent == tmp_path / "out"


def test_no_name_hides_a_builtin_or_module(plain):
    from tf2ms.structure.names import identifier

    for name in (*keyword.kwlist, *dir(builtins), "self", "ms", "nn", "ops", "np", "name", "phase"):
        made = identifier(name)
        assert made.isidentifier() and not keyword.iskeyword(made)
        assert made not in {*dir(builtins), "self", "ms", "nn", "ops", "np", "name", "phase"}


def test_every_member_of_nn_cell_is_avoided():
    from mindspore import nn

    from tf2ms.structure.names import identifier

    missed = [name for name in dir(nn.Cell()) if not name.startswith("_") and identifier(name) == name]
    assert missed == []


def test_thousands_of_scopes(tmp_path):
    def make():
        h = placeholder([2, 4], "x")
        for index in range(300):
            h = tf.nn.relu(h + float(index)) * 0.5
        return [h]

    built = build(make)
    names = {item.name: "/".join([f"s{i}" for i in range(400)] + [item.name]) for item in built.graph_def.node}
    source, table = renamed(built.graph_def, names, seed=None)
    assert_same_outputs(built, tf2ms.convert(source), table=table)


def test_a_long_chain():
    nodes = [x(), *(node(f"r{i}", "Relu", f"r{i - 1}" if i else "x", T=1) for i in range(3000))]
    assert no_traceback(graph(*nodes)) is not None


def test_a_long_sum():
    """Thousands of terms, deeper than Python's own recursion allows."""
    nodes = [x(), *(node(f"r{i}", "AddV2", f"r{i - 1}" if i else "x", "x", T=1) for i in range(3000))]
    assert no_traceback(graph(*nodes)) is not None


def test_a_wide_sum():
    nodes = [x(), *(node(f"r{i}", "Relu", "x", T=1) for i in range(500))]
    nodes.append(node("sum", "AddN", *(f"r{i}" for i in range(500)), T=1))
    assert no_traceback(graph(*nodes)) is not None


# -- constants and shapes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e-45, -0.0, 3.4e38, 1e6, 123456789.0, 0.1], ids=str)
def test_scalar_constants(value, tmp_path):
    def make():
        x = placeholder([2, 3], "x")
        return [x * tf.constant(value, tf.float32), tf.constant(value, tf.float32) - x]

    built = build(make)
    conversion = tf2ms.convert(built.graph)
    for actual, expected in zip(conversion.run(built.feeds), built.expected, strict=True):
        assert np.allclose(actual, expected, rtol=1e-6, equal_nan=True)


@pytest.mark.parametrize("value", [[np.nan, np.inf, -np.inf], [1e-45, -0.0, 3e38]], ids=["nan", "small"])
def test_vector_constants(value):
    def make():
        return [placeholder([2, 3], "x") * tf.constant(value, tf.float32)]

    built = build(make)
    conversion = tf2ms.convert(built.graph)
    (actual,) = conversion.run(built.feeds)
    assert np.allclose(actual, built.expected[0], rtol=1e-6, equal_nan=True)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.5], ids=str)
def test_initial_values(value):
    def make():
        x, y = placeholder([2, 3], "x"), placeholder([2, 3], "y")
        start = v1.constant_initializer(value)
        o = tf.matmul(x, variable("w", [3, 3], initializer=start)) + variable("b", [3], initializer=start)
        return [o], tf.reduce_mean(tf.square(o - y))

    conversion = tf2ms.convert(build(make).graph)
    from helpers import ms_network

    _, network = ms_network(conversion)
    for parameter in network.get_parameters():
        assert np.array_equal(parameter.asnumpy(), np.full(parameter.shape, value, np.float32), equal_nan=True)


@pytest.mark.parametrize("rate", [np.nan, np.inf], ids=str)
def test_hyperparameters_that_are_no_numbers(rate):
    def make():
        x, y = placeholder([2, 3], "x"), placeholder([2, 3], "y")
        o = dense(x, 3)
        return [o], tf.reduce_mean(tf.square(o - y))

    built = build(make, train=lambda loss: v1.train.GradientDescentOptimizer(rate).minimize(loss))
    conversion = no_traceback(built.graph)
    if conversion is not None:  # then the module must import at least
        from helpers import ms_network

        ms_network(conversion)


@pytest.mark.parametrize(
    "shape", [[0, 3], [2, 0], [0], [], [1], [1, 1], [None], [None, None, None, None, None, None]], ids=str
)
def test_extreme_shapes(shape):
    def make():
        x = placeholder(shape, "x")
        return [tf.nn.relu(x) + 1.0, tf.reduce_sum(x)]

    with tf.Graph().as_default() as made:
        make()
    conversion = no_traceback(made)
    assert conversion is not None


def test_unknown_rank():
    with tf.Graph().as_default() as made:
        x = v1.placeholder(tf.float32, None, "x")
        tf.nn.conv2d(tf.nn.relu(x), np.zeros((3, 3, 3, 4), np.float32), 1, "SAME")
    no_traceback(made)
    no_traceback(made, shapes={"x": (1, 8, 8, 3)})


def test_huge_shapes():
    big = 2**62
    for shape in ((big, big), (big,), (1, big, big, 3)):
        source = graph(x(shape), node("y", "Relu", "x", T=1), node("v", "VariableV2", dtype=1, shape=(big, 2)))
        no_traceback(source)
        no_traceback(graph(*source.node, node("z", "MatMul", "y", "v", T=1)))


def test_huge_constants_are_not_made():
    """A few bytes of graph must not become gigabytes: a Fill, a Range, a splat constant of a huge shape."""
    nodes = [
        x(),
        node("dims", "Const", dtype=3, value=np.array([2**15, 2**15], np.int32)),
        node("one", "Const", dtype=1, value=np.float32(1)),
        node("fill", "Fill", "dims", "one", T=1),
        node("y", "AddV2", "x", "fill", T=1),
    ]
    no_traceback(graph(*nodes))
    splat = node("c", "Const", dtype=1, value=np.float32(1))
    del splat.attr["value"].tensor.tensor_shape.dim[:]
    splat.attr["value"].tensor.tensor_shape.dim.extend([_dim(2**20), _dim(2**20)])
    no_traceback(graph(x(), splat, node("y", "AddV2", "x", "c", T=1)))


def test_constants_that_cannot_be_decoded():
    short = node("c", "Const", dtype=1, value=np.zeros(6, np.float32).reshape(2, 3))
    short.attr["value"].tensor.tensor_content = b"abc"
    wrong = node("c", "Const", dtype=1, value=np.zeros((2, 3), np.float32))
    wrong.attr["value"].tensor.dtype = 1000
    negative = node("c", "Const", dtype=1, value=np.zeros((2, 3), np.float32))
    negative.attr["value"].tensor.tensor_shape.dim[0].size = -7
    strings = node("c", "Const", dtype=7)
    strings.attr["value"].tensor.dtype = 7
    strings.attr["value"].tensor.string_val.extend([b"\xff\xfe", b"b"])
    strings.attr["value"].tensor.tensor_shape.dim.extend([_dim(2)])
    nothing = node("c", "Const", dtype=1)
    for constant in (short, wrong, negative, strings, nothing):
        no_traceback(graph(x(), constant, node("y", "AddV2", "x", "c", T=1)))


# -- attributes --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def layers():
    """A graph with every layer that has attributes."""

    def make():
        x = placeholder([2, 8, 8, 6], "x")
        h = tf.nn.relu(conv(x, (3, 3), 4, 2, name="c"))
        h = tf.nn.lrn(tf.nn.max_pool2d(h, 2, 1, "SAME"), 2)
        h = v1.nn.depthwise_conv2d(h, variable("dw", [3, 3, 4, 1]), [1, 1, 1, 1], "SAME")
        h = tf.nn.leaky_relu(tf.nn.avg_pool2d(h, 2, 2, "VALID"))
        a, b = tf.split(h, 2, 3)
        h = tf.concat([a, b, tf.reduce_mean(h, 3, keepdims=True)], 3)
        h = tf.squeeze(tf.expand_dims(tf.reshape(h, [2, 20]), 0), 0)
        h = v1.matmul(dense(h, 5, relu=True), variable("m", [3, 5]), transpose_b=True)
        return [tf.nn.softmax(tf.transpose(h, [1, 0]))]

    return build(make)


def _attributes(built):
    """(node, attribute), one node for each op type."""
    found = {}
    for item in built.graph_def.node:
        for key in item.attr:
            if (
                key != "_output_shapes"
                and not item.name.endswith(("Assign", "/read"))
                and "Initializer" not in item.name
            ):
                found.setdefault((item.op, key), (item.name, key))
    return sorted(found.values())


def test_missing_attributes(layers):
    for name, key in _attributes(layers):
        source = layers.graph_def
        for item in source.node:
            if item.name == name:
                del item.attr[key]
        no_traceback(source)


@pytest.mark.parametrize("kind", ["i", "f", "s", "b", "list", "empty", "shape", "type", "long list", "negative"])
def test_attributes_of_another_type(kind, layers):
    for name, key in _attributes(layers):
        source = layers.graph_def
        for item in source.node:
            if item.name == name:
                value = item.attr[key]
                value.Clear()
                if kind == "i":
                    value.i = -7
                elif kind == "f":
                    value.f = 2.5
                elif kind == "s":
                    value.s = b'\xff\xfe"); import os'
                elif kind == "b":
                    value.b = True
                elif kind == "list":
                    value.list.s.append(b"\xff")
                elif kind == "shape":
                    value.shape.unknown_rank = True
                elif kind == "type":
                    value.type = 20
                elif kind == "long list":
                    value.list.i.extend(range(9))
                elif kind == "negative":
                    value.list.i.extend([-1, 0, -1, 2**40])
        conversion = no_traceback(source)
        if conversion is not None:
            assert_no_code_from_strangers(conversion.code)


def test_errors_are_one_family():
    for kind in (GraphError, SourceError, UnsupportedOpError):
        assert issubclass(kind, Tf2msError)
        assert kind.exit_code == 1
    assert tf2ms.VerifyError.exit_code == 3
