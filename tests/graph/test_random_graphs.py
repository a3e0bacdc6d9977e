"""Random networks compared with TensorFlow, random names, and real graphs with something broken in them."""

from __future__ import annotations

import random

import numpy as np
import pytest
import tensorflow as tf
from helpers import assert_same_outputs, build, conv, convert, dense, placeholder, renamed, v1, variable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto.graph_pb2 import GraphDef

import tf2ms
from tf2ms.errors import Tf2msError
from tf2ms.structure.names import class_name, identifier, plain_text

QUICK = settings(max_examples=300, deadline=None, derandomize=True)
SLOW = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


# -- networks ----------------------------------------------------------------------------------------------------------


class Network:
    """A network drawn from a seed: images through random layers, joined and split, to one or two outputs."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.count = 0

    def name(self) -> str:
        self.count += 1
        return f"{self.random.choice(['block', 'conv', 'layer', 'a/b', 'stage1/unit', 'x'])}{self.count}"

    def constant(self, *shape):
        return tf.constant(np.random.default_rng(self.count).uniform(0.5, 1.5, shape).astype(np.float32))

    def __call__(self):
        pick = self.random
        size = pick.choice([6, 7, 8])
        known = [placeholder([pick.choice([None, 2]), size, size + pick.choice([0, 1]), pick.choice([1, 3, 4])], "x")]
        for _ in range(pick.randint(2, 9)):
            known.append(self.layer(pick.choice(known[-3:]), known))
        outputs = [known[-1]]
        if pick.random() < 0.6 and known[-1].shape.rank == 4:
            h = known[-1]
            features = int(np.prod(h.shape.as_list()[1:]))
            outputs.append(dense(tf.reshape(h, [-1, features]), 3, self.name(), relu=pick.random() < 0.5))
        return outputs

    def layer(self, x, known):
        pick = self.random
        if x.shape.rank == 2:
            return dense(x, pick.choice([2, 5]), self.name(), relu=pick.random() < 0.5)
        channels, same = int(x.shape[-1]), [y for y in known if y.shape.as_list() == x.shape.as_list()]
        kind = pick.choice(
            "conv conv conv relu pool average bias scale map residual concat stack split lrn mean flatten gate".split()
        )
        if kind == "conv":
            kernel = (pick.choice([1, 2, 3]), pick.choice([1, 3]))
            y = conv(x, kernel, pick.choice([2, 4, 8]), pick.choice([1, 1, 2]), "SAME", self.name())
            return tf.nn.relu(y) if pick.random() < 0.6 else y
        if kind == "relu":
            return pick.choice([tf.nn.relu, tf.nn.leaky_relu, tf.sigmoid, tf.nn.softmax, tf.square])(x)
        if kind in ("pool", "average"):
            function = tf.nn.max_pool2d if kind == "pool" else tf.nn.avg_pool2d
            return function(x, pick.choice([1, 2, 3]), pick.choice([1, 2]), "SAME")
        if kind == "bias":
            return tf.nn.bias_add(x, variable(self.name().replace("/", "_"), [channels]))
        if kind == "scale":
            return pick.choice([x * self.constant(channels), 1.0 - x, x + 0.5, x / self.constant(1, 1, channels)])
        if kind == "map":
            return x + self.constant(*x.shape.as_list()[1:])
        if kind == "residual":
            return x + pick.choice(same)
        if kind == "concat":
            return tf.concat([x, pick.choice(same), x][: pick.choice([2, 3])], pick.choice([3, -1]))
        if kind == "stack":
            return tf.concat([x, pick.choice(same)], pick.choice([1, 2]))
        if kind == "split" and channels % 2 == 0:
            a, b = tf.split(x, 2, 3)
            return pick.choice([lambda: a - b, lambda: tf.concat([b, a], 3), lambda: a])()
        if kind == "lrn":
            return tf.nn.lrn(x, pick.choice([1, 2]), 1.0, 0.1, pick.choice([0.5, 0.75]))
        if kind == "mean":
            return tf.reduce_mean(x, [1, 2])
        if kind == "flatten":
            return tf.reshape(x, [-1, int(np.prod(x.shape.as_list()[1:]))])
        if kind == "gate":
            s = tf.sigmoid(dense(tf.reduce_mean(x, [1, 2]), channels, self.name()))
            return x * tf.reshape(s, [-1, 1, 1, channels])
        return tf.nn.relu(x)


@pytest.mark.parametrize("seed", range(60))
def test_random_networks_compute_the_same(seed, tmp_path):
    built = build(Network(seed), 2)
    options = {"style": "flat" if seed % 3 == 0 else "blocks", "keep_nhwc": seed % 5 == 0}
    conversion = convert(built, tmp_path, outputs=built.outputs, **options)
    assert_same_outputs(built, conversion)
    shuffled, table = renamed(built.graph_def, seed=seed)
    outputs = [f"{table[name.partition(':')[0]]}:{name.partition(':')[2]}" for name in built.outputs]
    again = convert(built, tmp_path, shuffled, table, outputs=outputs, **options)
    assert len(again.map["parameters"]) == len(conversion.map["parameters"])


# -- names -------------------------------------------------------------------------------------------------------------


@QUICK
@given(st.text(max_size=80))
def test_any_text_becomes_a_name(text):
    for made in (identifier(text), class_name(text)):
        assert made.isidentifier() and made.isascii()
        assert len(made) <= 64
        compile(f"{made} = 1", "name", "exec")
    assert identifier(text) == identifier(identifier(text)) or identifier(text).endswith("_")
    assert not set(plain_text(text)) & set("\"'\\\n\r{}")


@SLOW
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12), min_size=4, max_size=4, unique=True
    )
)
def test_any_names_give_a_file_that_compiles(named, names):
    table = dict(zip(("one", "two", "x", "y"), names, strict=True))
    full = {}
    for node in named.graph_def.node:
        first, slash, rest = node.name.partition("/")
        full[node.name] = f"{table.get(first, first)}{slash}{rest}"
    source, _ = renamed(named.graph_def, full, seed=None)
    for style in ("blocks", "flat"):
        _compiles(source, style=style)


@pytest.fixture(scope="module")
def named():
    def make():
        x, y = placeholder([2, 6, 6, 3], "x"), placeholder([2, 4], "y")
        h = tf.nn.relu(conv(tf.nn.relu(conv(x, (3, 3), 4, name="one")), (3, 3), 4, 2, name="two"))
        o = dense(tf.reshape(h, [2, 36]), 4)
        return [o], tf.reduce_mean(tf.square(o - y))

    return build(make)


def _compiles(source, **options):
    try:
        conversion = tf2ms.convert(source, **options)
    except Tf2msError as error:
        assert str(error).strip()
        return
    compile(conversion.code, "generated", "exec")


# -- mutations ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rich():
    """A training graph with most of the ops that have rules."""

    def make():
        x, y = placeholder([2, 8, 8, 4], "x"), placeholder([2, 3], "y")
        a, b = tf.split(conv(x, (3, 3), 8, 2, name="c"), 2, 3)
        h = tf.concat([tf.nn.relu(a), tf.nn.max_pool2d(b, 2, 1, "SAME")], 3)
        h = tf.nn.lrn(h, 2) * 0.5 + variable("shift", [8])
        h = v1.nn.depthwise_conv2d(h, variable("dw", [3, 3, 8, 1]), [1, 1, 1, 1], "SAME")
        h = tf.nn.avg_pool2d(h, 2, 2, "VALID")
        o = dense(dense(tf.reshape(h, [2, 32]), 5, "fc1", relu=True), 3, "fc2")
        return [o], tf.sqrt(tf.reduce_sum(tf.square(o - y))) * 0.3

    return build(make)


def _retyped(value, pick: random.Random) -> None:
    """An attribute with a value of some other type."""
    field, content = pick.choice(
        [
            ("i", pick.choice([-1, 0, 2**40])),
            ("f", float("nan")),
            ("s", b"\xff{0}\"'"),
            ("b", True),
            ("type", pick.choice([0, 3, 7, 20, 101])),
            ("list", [0, -1]),
            ("shape", -3),
            ("nothing", None),
        ]
    )
    value.Clear()
    if field == "list":
        value.list.i.extend(content)
    elif field == "shape":
        value.shape.dim.add(size=content)
    elif field != "nothing":
        setattr(value, field, content)


def _mutated(graph: GraphDef, pick: random.Random) -> GraphDef:
    """One to three things broken: an input, an op, an attribute, a constant, a shape, a node."""
    result = GraphDef.FromString(graph.SerializeToString())
    for _ in range(pick.randint(1, 3)):
        node = pick.choice(result.node)
        others = [other.name for other in result.node]
        kind = pick.choice("input drop add op attr type swap shape value remove copy bytes".split())
        if kind == "input" and node.input:
            node.input[pick.randrange(len(node.input))] = pick.choice(others) + pick.choice(["", ":1", ":7"])
        elif kind == "drop" and node.input:
            del node.input[pick.randrange(len(node.input))]
        elif kind == "add":
            node.input.append(pick.choice(others))
        elif kind == "op":
            node.op = pick.choice(result.node).op
        elif kind == "attr" and node.attr:
            del node.attr[pick.choice(sorted(node.attr))]
        elif kind == "type" and node.attr:
            _retyped(node.attr[pick.choice(sorted(node.attr))], pick)
        elif kind == "swap" and len(node.input) > 1:
            node.input[0], node.input[1] = node.input[1], node.input[0]
        elif kind == "shape" and "_output_shapes" in node.attr:
            shapes = node.attr["_output_shapes"].list
            if shapes.shape and shapes.shape[0].dim:
                shapes.shape[0].dim[0].size = pick.choice([-1, 0, 5, 2**50])
            else:
                shapes.shape.add(unknown_rank=True)
        elif kind == "value" and "value" in node.attr:
            tensor = node.attr["value"].tensor
            tensor.dtype = pick.choice([1, 3, 7, 10, 23])
            tensor.tensor_content = tensor.tensor_content[: pick.randint(0, 5)]
        elif kind == "remove":
            result.node.remove(node)
        elif kind == "copy":
            copy = result.node.add()
            copy.CopyFrom(node)
            copy.name = f"{node.name}_copy"
        elif kind == "bytes" and node.attr:
            node.attr[pick.choice(sorted(node.attr))].CopyFrom(pick.choice(result.node).attr["T"])
    return result


@pytest.mark.parametrize("part", range(8))
def test_broken_graphs_give_an_error_or_a_file_that_compiles(rich, part):
    pick = random.Random(part)
    for _ in range(40):
        _compiles(_mutated(rich.graph_def, pick), allow_unsupported=pick.random() < 0.3)


@pytest.mark.parametrize("part", range(2))
def test_broken_graphs_without_shapes(rich, part):
    pick = random.Random(100 + part)
    for _ in range(8):
        source = _mutated(rich.graph_def, pick)
        for node in source.node:
            node.attr.pop("_output_shapes", None)
        _compiles(source)


@pytest.mark.parametrize("seed", range(20))
def test_inspect_survives_what_convert_survives(rich, seed):
    source = _mutated(rich.graph_def, random.Random(1000 + seed))
    try:
        tf2ms.inspect(source).to_dict()
    except Tf2msError as error:
        assert str(error).strip()
