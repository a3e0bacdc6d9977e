"""Layers: convolutions, dense, pools, normalisation, activations."""

from __future__ import annotations

from dataclasses import replace

from tf2ms.graph import Graph, Node
from tf2ms.layout import Need, any_order, channels_of, keeps_order
from tf2ms.rules.initializers import initial_values
from tf2ms.rules.op import Cell, Expression, NoForm, Op, scalar_if_square
from tf2ms.rules.registry import elementwise, rule
from tf2ms.rules.types import Value, Weight

_CONV_DEFAULTS: dict[str, Value] = {"stride": 1, "dilation": 1, "group": 1, "has_bias": False}


def _convolution(op: Op, kernel: Weight, in_channels: int, group: int) -> Expression:
    """nn.Conv2d around a kernel in (out, in / group, height, width)."""
    bias = op.weight(2) if len(op) == 3 else None
    cell = Cell(
        "nn.Conv2d",
        ("in_channels", in_channels),
        ("out_channels", kernel.shape[0]),
        ("kernel_size", scalar_if_square(kernel.shape[2:])),
        stride=scalar_if_square(op.spatial("strides")),
        pad_mode=op.pad_mode(),
        dilation=scalar_if_square(op.spatial("dilations")),
        group=group,
        has_bias=bias is not None,
        weight=kernel,
        bias=bias,
        **initial_values(kernel, bias),
    )
    return cell(op.input(0), defaults=_CONV_DEFAULTS)


@rule("Conv2D", layout=channels_of(input=0, output=0), form="nn.Conv2d")
def conv2d(op: Op) -> Expression:
    """tf.nn.conv2d. SAME pads bottom and right in both frameworks. HWIO -> OIHW."""
    kernel = op.weight(1, perm=(3, 2, 0, 1))
    shape = op.shape(0)
    channels = shape[1 if op.attr("data_format", "NHWC") == "NCHW" else -1] if shape else None
    group = channels // kernel.shape[1] if channels else op.attr("groups", 1)
    return _convolution(op, kernel, kernel.shape[1] * group, group)


@rule("DepthwiseConv2dNative", layout=channels_of(input=0, output=0), form="nn.Conv2d(group=in_channels)")
def depthwise_conv2d(op: Op) -> Expression:
    """tf.nn.depthwise_conv2d: one group a channel. (h, w, in, multiplier) -> (in * multiplier, 1, h, w)."""
    height, width, channels, multiplier = op.weight(1).shape
    kernel = op.weight(1, perm=(2, 3, 0, 1), reshape=(channels * multiplier, 1, height, width))
    return _convolution(op, kernel, channels, channels)


def _matmul_layout(node: Node, graph: Graph) -> Need:
    """A dense layer takes flattened features in either order, because its rows can follow."""
    if graph[node.inputs[1].node].weight_shape() is not None and not node.attr("transpose_a"):
        return Need(original=(("out", 0),))
    return keeps_order(node, graph)


@rule("MatMul", layout=_matmul_layout, form="nn.Dense, ops.matmul")
def matmul(op: Op) -> Expression:
    """tf.linalg.matmul of matrices; with a variable or constant on the right a dense layer, (in, out) -> (out, in)."""
    if not op.is_weight(1) or op.attr("transpose_a"):
        left, right = (".T" if op.attr(f"transpose_{side}") else "" for side in "ab")
        return op.form(f"ops.matmul({{0}}{left}, {{1}}{right})")
    kernel = op.dense_kernel(1)
    bias = op.weight(2) if len(op) == 3 else None
    cell = Cell(
        "nn.Dense",
        ("in_channels", kernel.shape[1]),
        ("out_channels", kernel.shape[0]),
        has_bias=bias is not None,
        activation=op.attr("activation"),
        weight=kernel,
        bias=bias,
        **initial_values(kernel, bias),
    )
    return cell(op.input(0), defaults={"has_bias": True, "activation": None})


@rule("BiasAdd", "BiasAddV1", layout=channels_of(input=0, output=0), form="{0} + {bias}")
def bias_add(op: Op) -> Expression:
    """tf.nn.bias_add alone: the vector is added to the channels."""
    channels_first = op.attr("data_format", "NHWC") == "NCHW" or op.is_channels_first(op.node.inputs[0])
    rank = op.rank()
    reshape = (-1, *(1,) * (rank - 2)) if channels_first and rank > 2 else None
    bias = op.weight(1)
    return op.form("{0} + {1}", op.input(0), op.weight(1, reshape=(bias.shape[0], *reshape[1:])) if reshape else bias)


def _pool(op: Op, cls: str) -> Expression:
    cell = Cell(
        cls,
        kernel_size=scalar_if_square(op.spatial("ksize")),
        stride=scalar_if_square(op.spatial("strides")),
        pad_mode=op.pad_mode(),
    )
    return cell(op.input(0), defaults={"kernel_size": 1, "stride": 1, "pad_mode": "valid"})


@rule(
    "MaxPool",
    layout=channels_of(input=0, output=0),
    form="nn.MaxPool2d",
    note="on Ascend training runs MaxPoolWithArgmax, whose outputs after ties may differ",
)
def max_pool(op: Op) -> Expression:
    """tf.nn.max_pool2d. SAME pads bottom and right in both frameworks."""
    return _pool(op, "nn.MaxPool2d")


@rule("AvgPool", layout=channels_of(input=0, output=0), form="nn.AvgPool2d")
def avg_pool(op: Op) -> Expression:
    """tf.nn.avg_pool2d. Padding is not counted in the mean in either framework."""
    return _pool(op, "nn.AvgPool2d")


@rule(
    "LRN",
    layout=channels_of(input=0, output=0),
    form="LRN (written out)",
    note="ops.LRN fails on CPU for radius 2 and channels in multiples of 8; composed there and everywhere",
)
def lrn(op: Op) -> Expression:
    """tf.nn.lrn. Its alpha, like MindSpore's, multiplies the plain sum of squares."""
    cell = Cell(
        "LRN",
        depth_radius=op.attr("depth_radius", 5),
        bias=op.attr("bias", 1.0),
        alpha=op.attr("alpha", 1.0),
        beta=op.attr("beta", 0.5),
        helper=True,
    )
    return cell(op.input(0), defaults={"bias": 1.0})


@rule(
    "FusedBatchNorm",
    "FusedBatchNormV2",
    "FusedBatchNormV3",
    layout=channels_of(input=0, output=0),
    form="nn.BatchNorm2d",
)
def fused_batch_norm(op: Op) -> Expression:
    """tf.nn.fused_batch_norm in inference: the running statistics are weights."""
    if op.attr("is_training", True):
        raise NoForm("batch normalisation in training mode is not recovered yet")
    gamma, beta, mean, variance = (op.weight(index) for index in (1, 2, 3, 4))
    cell = Cell(
        "nn.BatchNorm2d",
        ("num_features", gamma.shape[0]),
        eps=op.attr("epsilon", 1e-4),
        gamma=gamma,
        beta=beta,
        moving_mean=mean,
        moving_variance=variance,
    )
    return replace(cell(op.input(0), defaults={"eps": 1e-5}), outputs=1)


@rule("Relu", layout=any_order, form="nn.ReLU")
def relu(op: Op) -> Expression:
    """tf.nn.relu."""
    return Cell("nn.ReLU")(op.input(0))


@rule("LeakyRelu", layout=any_order, form="nn.LeakyReLU")
def leaky_relu(op: Op) -> Expression:
    """tf.nn.leaky_relu; both frameworks' layers have 0.2."""
    return Cell("nn.LeakyReLU", alpha=op.attr("alpha", 0.2))(op.input(0), defaults={"alpha": 0.2})


@rule("Softmax", "LogSoftmax", form="ops.softmax, ops.log_softmax")
def softmax(op: Op) -> Expression:
    """tf.nn.softmax and log_softmax over the last axis, where the op has it."""
    name = "softmax" if op.node.op == "Softmax" else "log_softmax"
    return op.form(f"ops.{name}({{0}}, axis=-1)")


elementwise("Relu6", form="ops.relu6({0})")
elementwise("Elu", form="ops.elu({0})")
elementwise("Sigmoid", form="ops.sigmoid({0})")
elementwise("Softplus", form="ops.softplus({0})")
elementwise("Softsign", form="ops.softsign({0})")
