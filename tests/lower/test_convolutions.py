"""Convolutions and pools of every padding, stride and parity of size, and grouped convolution, against TensorFlow."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from helpers import (
    assert_same_outputs,
    assert_same_training,
    build,
    conv,
    convert,
    dense,
    ms_batch,
    ms_network,
    placeholder,
    relative,
    v1,
    variable,
)

import tf2ms


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [(7, 8), (8, 7), (9, 12)], ids=str)
def test_convolutions_and_pools(size, stride, padding, tmp_path):
    def make():
        x = placeholder([2, *size, 3], "x")
        strides = [1, stride, stride, 1]
        kernel = variable("depthwise", [3, 3, 3, 2])
        return [
            *(conv(x, k, 4, stride, padding, f"c{k[0]}{k[1]}") for k in ((1, 1), (2, 2), (3, 3), (5, 5), (3, 5))),
            tf.nn.max_pool2d(x, 3, stride, padding),
            tf.nn.max_pool2d(x, 2, stride, padding),
            tf.nn.avg_pool2d(x, 3, stride, padding),
            tf.nn.avg_pool2d(x, (2, 3), stride, padding),
            v1.nn.depthwise_conv2d(x, kernel, strides, padding),
        ]

    built = build(make)
    assert_same_outputs(built, convert(built, tmp_path))


@pytest.mark.parametrize("strides", [(1, 2), (3, 1)], ids=str)
def test_uneven_strides(strides, tmp_path):
    def make():
        x = placeholder([2, 9, 8, 3], "x")
        y = tf.nn.max_pool2d(x, (2, 3), strides, "SAME")
        return [conv(x, (3, 3), 4, [1, *strides, 1]), y]

    built = build(make)
    assert_same_outputs(built, convert(built, tmp_path))


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_dilation(padding, tmp_path):
    def make():
        x = placeholder([2, 12, 11, 3], "x")
        return [tf.nn.conv2d(x, variable("weights", [3, 3, 3, 4]), 1, padding, dilations=2)]

    built = build(make)
    try:
        conversion = convert(built, tmp_path)
    except tf2ms.UnsupportedOpError:
        pytest.skip("written as space-to-batch, which has no rule yet")
    assert_same_outputs(built, conversion)


def _grouped(x, groups, channels, name="grouped"):
    with v1.variable_scope(name):
        weights = variable("weights", [3, 3, int(x.shape[-1]) // groups, channels])
        biases = variable("biases", [channels])
        parts = zip(tf.split(x, groups, 3), tf.split(weights, groups, 3), strict=True)
        joined = tf.concat([tf.nn.conv2d(part, kernel, 2, "SAME") for part, kernel in parts], 3)
        return tf.nn.relu(tf.nn.bias_add(joined, biases))


@pytest.mark.parametrize("groups", [2, 3])
def test_grouped_convolution_is_one_layer(groups, tmp_path):
    def make():
        x = placeholder([2, 7, 8, 6], "x")
        return [_grouped(x, groups, 12)]

    built = build(make)
    conversion = convert(built, tmp_path)
    assert conversion.code.count("nn.Conv2d(") == 1
    assert f"group={groups}" in conversion.code
    assert "ops.split" not in conversion.code
    assert "ops.concat" not in conversion.code
    assert_same_outputs(built, conversion)


def test_grouped_convolution_trains(tmp_path):
    def make():
        x, y = placeholder([2, 7, 8, 6], "x"), placeholder([2, 3], "y")
        h = _grouped(x, 2, 4)
        o = dense(tf.reshape(h, [-1, 64]), 3)
        return [o], tf.reduce_mean(tf.square(o - y))

    built = build(make)
    conversion = convert(built, tmp_path)
    assert_same_outputs(built, conversion)
    assert_same_training(built, conversion)


def crossed(x, weights):
    a, b = tf.split(x, 2, 3)
    k, m = tf.split(weights, 2, 3)
    return tf.concat([tf.nn.conv2d(b, k, 1, "SAME"), tf.nn.conv2d(a, m, 1, "SAME")], 3)


def swapped(x, weights):
    a, b = tf.split(x, 2, 3)
    k, m = tf.split(weights, 2, 3)
    return tf.concat([tf.nn.conv2d(b, m, 1, "SAME"), tf.nn.conv2d(a, k, 1, "SAME")], 3)


def stacked(x, weights):
    """Joined on height, not on channels."""
    a, b = tf.split(x, 2, 3)
    k, m = tf.split(weights, 2, 3)
    return tf.concat([tf.nn.conv2d(a, k, 1, "SAME"), tf.nn.conv2d(b, m, 1, "SAME")], 1)


def read_twice(x, weights):
    a, b = tf.split(x, 2, 3)
    k, m = tf.split(weights, 2, 3)
    left, right = tf.nn.conv2d(a, k, 1, "SAME"), tf.nn.conv2d(b, m, 1, "SAME")
    return tf.concat([left, right], 3) + tf.concat([right, left], 3)


def several_strides(x, weights):
    a, b = tf.split(x, 2, 3)
    k, m = tf.split(weights, 2, 3)
    return tf.concat([tf.nn.conv2d(a, k, 1, "SAME"), tf.nn.conv2d(b, m, 1, "SAME", dilations=1)], 3)


@pytest.mark.parametrize("form", [crossed, swapped, stacked, read_twice, several_strides], ids=lambda f: f.__name__)
def test_what_only_looks_like_groups(form, tmp_path):
    """Right numbers or a refusal, never a wrong layer."""

    def make():
        x = placeholder([2, 6, 6, 4], "x")
        return [form(x, variable("weights", [3, 3, 2, 8]))]

    built = build(make)
    try:
        conversion = convert(built, tmp_path)
    except tf2ms.UnsupportedOpError:
        return
    assert_same_outputs(built, conversion)


def test_conv2d_with_native_groups(tmp_path):
    """TensorFlow's own grouped kernel: fewer input channels in the filter than in the data."""

    def make():
        x = placeholder([2, 6, 6, 4], "x")
        return [tf.nn.conv2d(x, variable("weights", [3, 3, 2, 8]), 1, "SAME")]

    built = build(make)
    conversion = convert(built, tmp_path)
    assert "group=2" in conversion.code
    assert_same_outputs(built, conversion)


def right_or_refused(make, tmp_path, match):
    built = build(make)
    try:
        conversion = convert(built, tmp_path)
    except tf2ms.UnsupportedOpError as error:
        assert match in str(error)
    else:
        assert_same_outputs(built, conversion)


def test_explicit_padding(tmp_path):
    def make():
        x = placeholder([2, 6, 6, 4], "x")
        return [tf.nn.conv2d(x, variable("weights", [3, 3, 4, 8]), 1, [[0, 0], [1, 2], [2, 1], [0, 0]])]

    right_or_refused(make, tmp_path, "EXPLICIT")


def test_a_computed_kernel(tmp_path):
    def make():
        x = placeholder([2, 6, 6, 4], "x")
        return [tf.nn.conv2d(x, placeholder([3, 3, 4, 8], "kernel"), 1, "SAME")]

    right_or_refused(make, tmp_path, "computed")


ELEMENTWISE = {
    "Add": lambda x, y: x + y,
    "Sub": lambda x, y: x - y,
    "Mul": lambda x, y: x * y,
    "RealDiv": lambda x, y: x / (tf.abs(y) + 1.0),
    "Pow": lambda x, y: tf.abs(x) ** 1.5,
    "Neg": lambda x, y: -x,
    "Abs": lambda x, y: tf.abs(x),
    "Square": lambda x, y: tf.square(x),
    "Sqrt": lambda x, y: tf.sqrt(tf.abs(x)),
    "Rsqrt": lambda x, y: tf.math.rsqrt(tf.abs(x) + 0.5),
    "Exp": lambda x, y: tf.exp(x),
    "Log": lambda x, y: tf.math.log(tf.abs(x) + 0.5),
    "Tanh": lambda x, y: tf.tanh(x),
    "SquaredDifference": lambda x, y: v1.squared_difference(x, y),
    "Maximum": lambda x, y: tf.maximum(x, y),
    "Minimum": lambda x, y: tf.minimum(x, y),
    "AddN": lambda x, y: tf.add_n([x, y, x]),
    "Relu6": lambda x, y: tf.nn.relu6(4 * x),
    "Elu": lambda x, y: tf.nn.elu(x),
    "Sigmoid": lambda x, y: tf.sigmoid(x),
    "Softplus": lambda x, y: tf.nn.softplus(x),
    "Softsign": lambda x, y: tf.nn.softsign(x),
    "LeakyRelu": lambda x, y: tf.nn.leaky_relu(x, 0.3),
    "LeakyRelu default": lambda x, y: tf.nn.leaky_relu(x),
    "Softmax": lambda x, y: tf.nn.softmax(x),
    "LogSoftmax": lambda x, y: tf.nn.log_softmax(x),
    "StopGradient": lambda x, y: tf.stop_gradient(x) + y,
    "ZerosLike": lambda x, y: x + tf.raw_ops.ZerosLike(x=y),
    "OnesLike": lambda x, y: x + tf.raw_ops.OnesLike(x=y),
    "precedence": lambda x, y: (x - (y - x)) / (tf.exp(x) / (1.0 + tf.exp(y))) - -x * (x + y),
    "powers": lambda x, y: (-(tf.abs(x) ** 2.0)) ** 2.0,
}


@pytest.mark.parametrize("shape", [[4, 5], [2, 5, 4, 3]], ids=["matrix", "image"])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(name, shape, tmp_path):
    def make():
        x, y = placeholder(shape, "x"), placeholder(shape, "y")
        return [ELEMENTWISE[name](x, y)]

    built = build(make)
    assert_same_outputs(built, convert(built, tmp_path))


@pytest.mark.parametrize("axes", [[0], [1], [-1], [0, 1], []], ids=str)
@pytest.mark.parametrize("keep", [False, True], ids=["dropped", "kept"])
@pytest.mark.parametrize("name", ["reduce_sum", "reduce_mean", "reduce_max", "reduce_min", "reduce_prod"])
def test_reductions(name, keep, axes, tmp_path):
    def make():
        x, z = placeholder([4, 5], "x"), placeholder([2, 3, 4, 5], "z")
        function = getattr(tf, name)
        return [function(x, axes, keepdims=keep), function(z, axes, keepdims=keep), function(z, [1, 2], keepdims=keep)]

    built = build(make)
    assert_same_outputs(built, convert(built, tmp_path))


@pytest.mark.parametrize("channels", [8, 16, 24, 5])
@pytest.mark.parametrize("radius", [1, 2, 5])
def test_lrn(radius, channels, tmp_path):
    def make():
        x, y = placeholder([2, 5, 6, 3], "x"), placeholder([2, 5, 6, channels], "y")
        o = tf.nn.lrn(conv(x, (3, 3), channels), radius, 1.0, 2e-2, 0.75)
        return [o], tf.sqrt(tf.reduce_sum(tf.square(o - y)))

    built = build(make)
    conversion = convert(built, tmp_path)
    assert_same_outputs(built, conversion)
    assert_same_training(built, conversion)


def test_batch_norm_in_inference(tmp_path):
    def make():
        x = conv(placeholder([2, 5, 6, 3], "x"), (3, 3), 8)
        names = ("gamma", "beta", "mean")
        gamma, beta, mean = (variable(name, [8]) for name in names)
        variance = variable("variance", [8], initializer=v1.random_uniform_initializer(0.5, 2.0, seed=1))
        return [tf.nn.relu(v1.nn.fused_batch_norm(x, gamma, beta, mean, variance, 1e-3, is_training=False)[0])]

    built = build(make)
    assert_same_outputs(built, convert(built, tmp_path))


def test_batch_norm_in_training(tmp_path):
    """Normalised with the batch's own statistics: by the generated network in training, or refused by name."""

    def make():
        x = conv(placeholder([2, 5, 6, 3], "x"), (3, 3), 8)
        return [v1.nn.fused_batch_norm(x, variable("gamma", [8]), variable("beta", [8]), is_training=True)[0]]

    built = build(make)
    try:
        conversion = convert(built, tmp_path)
    except tf2ms.UnsupportedOpError as error:
        assert "training mode" in str(error)
        return
    _, network = ms_network(conversion)
    output = network.set_train()(*ms_batch(conversion, built.feeds))
    output = output[0] if isinstance(output, tuple) else output
    actual = output.asnumpy()
    perm = conversion.map["outputs"][0]["perm"]
    assert relative(actual.transpose(np.argsort(perm)) if perm else actual, built.expected[0]) <= 1e-5
